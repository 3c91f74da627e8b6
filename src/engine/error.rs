//! Why a request failed.

use super::{DecodeError, SamplingError};

/// A prompt that is too long is counted up to this many contexts.
pub const COUNTED: usize = 2;

/// Stop texts of a request. They are searched for after every token, on the thread that all requests share.
pub(super) const MOST_STOPS: usize = 256;
/// Bytes of all stop texts of a request.
pub(super) const MOST_STOP_BYTES: usize = 16 << 10;

/// Why the engine refused or failed a request.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The prompt has no tokens.
    #[error("the prompt is empty")]
    PromptEmpty,
    /// The prompt does not fit, with room for an answer, into the context.
    #[error(
        "the prompt has {}{tokens} tokens, but the context holds {context} and needs room for an answer",
        if *tokens > COUNTED * *context as usize { "at least " } else { "" }
    )]
    PromptTooLong {
        /// Tokens of the prompt. Beyond [`COUNTED`] contexts there may be more.
        tokens: usize,
        /// Tokens one sequence can hold.
        context: u32,
    },
    /// A token of the prompt is not in the vocabulary.
    #[error("token {token} at position {position} of the prompt is not in the vocabulary of {size} tokens")]
    TokenUnknown {
        /// The token's number.
        token: i32,
        /// Its position in the prompt.
        position: usize,
        /// Tokens of the vocabulary.
        size: u32,
    },
    /// A token of [`Reasoning::ending`](super::Reasoning::ending) is not in the vocabulary.
    #[error("token {token} of the text that ends the reasoning is not in the vocabulary of {size} tokens")]
    EndingUnknown {
        /// The token's number.
        token: i32,
        /// Tokens of the vocabulary.
        size: u32,
    },
    /// There are more stop texts than can be searched for after every token.
    #[error(
        "{count} stop texts of {bytes} bytes in all, expected at most {MOST_STOPS} of {MOST_STOP_BYTES} bytes"
    )]
    TooManyStops {
        /// Stop texts.
        count: usize,
        /// Their bytes.
        bytes: usize,
    },
    /// The server that the engine works for is shutting down.
    #[error("the server is shutting down")]
    Closing,
    /// The sampling parameters are invalid.
    #[error(transparent)]
    Sampling(#[from] SamplingError),
    /// The queue is full.
    #[error("the queue is full with {capacity} requests")]
    QueueFull {
        /// Requests that may wait.
        capacity: usize,
    },
    /// No idle sequence holds a beginning of the prompt.
    #[error("nothing of the prompt is in the cache")]
    NothingToSave,
    /// Every slot has a request.
    #[error("every slot is busy")]
    Busy,
    /// A step that served the request failed.
    #[error("decoding failed")]
    Decode(#[source] DecodeError),
    /// The engine panicked and has ended.
    #[error("the engine panicked: {message}")]
    Panicked {
        /// The panic's message.
        message: String,
    },
    /// The engine was shut down before the request ended.
    #[error("the engine was shut down")]
    Shutdown,
    /// The engine's thread has ended.
    #[error("the engine is not running")]
    Gone,
}
