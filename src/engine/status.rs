//! A snapshot of the engine: slots, queue, state cache, counters. Not here: anything about a request's text.

use super::{RequestId, SlotState};

/// The current status of the engine; a new one is published after each step.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Status {
    /// Every slot, in order of its sequence.
    pub slots: Vec<SlotStatus>,
    /// Requests that wait for a slot.
    pub waiting: usize,
    /// The cached states.
    pub state_cache: StateCacheStatus,
    /// Totals since the engine started.
    pub counters: Counters,
}

/// One slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotStatus {
    /// Its activity.
    pub state: SlotState,
    /// The request in it.
    pub request: Option<RequestId>,
    /// Tokens that its sequence holds; an idle slot keeps those of its last request.
    pub tokens: usize,
}

/// The state cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StateCacheStatus {
    /// Cached states.
    pub states: usize,
    /// The memory they use.
    pub bytes: u64,
    /// The memory they may use.
    pub budget: u64,
}

/// Totals since the engine started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Requests that were accepted.
    pub accepted: u64,
    /// Of these, the ones that finished.
    pub finished: u64,
    /// Of these, the ones that were cancelled or whose client has gone away.
    pub cancelled: u64,
    /// Of these, the ones that failed.
    pub failed: u64,
    /// Prompt tokens that were read.
    pub tokens_read: u64,
    /// Prompt tokens that were in the cache already.
    pub tokens_reused: u64,
    /// Tokens of answers, forced ones included.
    pub tokens_written: u64,
    /// Tokens that were computed again, because a failed or aborted step had lost them.
    pub tokens_recomputed: u64,
    /// Steps that were computed.
    pub steps: u64,
    /// Steps that were aborted.
    pub aborted_steps: u64,
    /// Steps that failed.
    pub failed_steps: u64,
}
