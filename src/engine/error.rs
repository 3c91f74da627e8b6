//! Why a request failed.

use super::{DecodeError, SamplingError};

/// Why the engine refused or failed a request.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is nothing to continue.
    #[error("the prompt is empty")]
    PromptEmpty,
    /// The prompt leaves no room for an answer.
    #[error("the prompt has {tokens} tokens, but the context holds {context} and needs room for an answer")]
    PromptTooLong {
        /// Tokens of the prompt.
        tokens: usize,
        /// Tokens one sequence can hold.
        context: u32,
    },
    /// The prompt names a token the model does not have.
    #[error("token {token} at position {position} of the prompt is not in the vocabulary of {size} tokens")]
    TokenUnknown {
        /// The token's number.
        token: i32,
        /// Where it stands in the prompt.
        position: usize,
        /// Tokens of the vocabulary.
        size: u32,
    },
    /// Tokens cannot be chosen as asked.
    #[error(transparent)]
    Sampling(#[from] SamplingError),
    /// Too many requests wait already.
    #[error("the queue is full with {capacity} requests")]
    QueueFull {
        /// Requests that may wait.
        capacity: usize,
    },
    /// No sequence can be brought to a beginning of the prompt.
    #[error("nothing of the prompt is in the cache")]
    NothingToSave,
    /// Every sequence is at work.
    #[error("every slot is busy")]
    Busy,
    /// The decoder could not do a step.
    #[error("decoding failed")]
    Decode(#[source] DecodeError),
    /// The engine panicked; it takes no more requests.
    #[error("the engine panicked: {message}")]
    Panicked {
        /// What the panic said.
        message: String,
    },
    /// The engine was shut down before the request was done.
    #[error("the engine was shut down")]
    Shutdown,
    /// The engine's thread is gone.
    #[error("the engine is not running")]
    Gone,
}
