//! A request that is computed alone after its step failed.

use crate::engine::RequestId;

/// A request of a failed step, whose tokens are computed again in steps of its own.
#[derive(Debug, Clone, Copy)]
pub(super) struct Retry {
    pub(super) id: RequestId,
    /// The length of its sequence at which the retry is over: all tokens of the failed step have been read.
    pub(super) until: usize,
}
