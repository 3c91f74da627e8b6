//! Errors of a step.

/// Why a step failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The cache has no room for the batch. None of its tokens were read.
    #[error("the cache has no room for {tokens} more tokens")]
    NoRoom {
        /// Tokens of the batch.
        tokens: usize,
    },
    /// The step was aborted; see [`Abort`](super::Abort).
    #[error("the step was aborted")]
    Aborted,
    /// The backend failed.
    #[error("the backend failed with status {status}")]
    Backend {
        /// The backend's status.
        status: i32,
    },
    /// A device that computes a part of the model failed, and its data may be lost.
    #[error("device failed: {reason}")]
    DeviceFailed {
        /// The device, and what its driver reports.
        reason: String,
        /// Whether its memory was short.
        is_short: bool,
    },
    /// The connection to a worker that computes a part of the model was lost, and the worker's data with it.
    #[error("lost the connection to the worker at `{endpoint}`")]
    WorkerLost {
        /// The worker's address.
        endpoint: String,
    },
    /// A logit is NaN or infinite, so no token can be sampled.
    #[error("the logits after position {position} of sequence {seq} are not finite")]
    NotANumber {
        /// The sequence.
        seq: u32,
        /// The position.
        position: u32,
    },
    /// The grammar forbids every token.
    #[error("the grammar allows no token after position {position} of sequence {seq}")]
    NoTokenAllowed {
        /// The sequence.
        seq: u32,
        /// The position.
        position: u32,
    },
    /// The grammar could not be applied, because a limit was exceeded.
    #[error("the grammar failed after position {position} of sequence {seq}: {reason}")]
    Rules {
        /// The sequence.
        seq: u32,
        /// The position.
        position: u32,
        /// What llguidance reports.
        reason: String,
    },
    /// The step is invalid: a defect of the caller.
    #[error("invalid step: {what}")]
    Contract {
        /// What is wrong with it.
        what: &'static str,
    },
}

impl DecodeError {
    /// Whether the memory of a device was short.
    #[must_use]
    pub fn is_short_of_memory(&self) -> bool {
        matches!(self, Self::DeviceFailed { is_short: true, .. })
    }
}
