//! A snapshot of the engine: slots, queue, state cache, counters. Not here: anything about a request's text.

use super::distribution::Distribution;
use super::{RequestId, SlotState, Usage};

/// The current status of the engine; a new one is published after each step.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Status {
    /// Every slot, in order of its sequence.
    pub slots: Vec<SlotStatus>,
    /// Requests that wait for a slot, in the order in which they are served.
    pub waiting: Vec<RequestId>,
    /// The cached states.
    pub state_cache: StateCacheStatus,
    /// Totals since the engine started.
    pub counters: Counters,
    /// How large steps were and how long tokens took since the engine started.
    pub distributions: Distributions,
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
    /// The token counts of its request so far; zero without one.
    pub usage: Usage,
    /// Tokens that its request may still write; `None` without a request or a limit.
    pub remaining: Option<u32>,
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
    /// The slots that worked in each of these steps, added up.
    pub step_slots: u64,
    /// Steps that were aborted.
    pub aborted_steps: u64,
    /// Steps that failed.
    pub failed_steps: u64,
}

/// Bounds of [`Distributions::step_tokens`].
const STEP_TOKENS: [u64; 15] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384];
/// Bounds of [`Distributions::token_times`], in microseconds.
const TOKEN_TIMES: [u64; 19] = [
    10_000, 25_000, 50_000, 75_000, 100_000, 150_000, 200_000, 300_000, 400_000, 500_000, 750_000, 1_000_000,
    2_500_000, 5_000_000, 7_500_000, 10_000_000, 20_000_000, 40_000_000, 80_000_000,
];

/// How large steps were and how long tokens took since the engine started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Distributions {
    /// Tokens of each step that was computed.
    pub step_tokens: Distribution<15>,
    /// From one step that wrote tokens of an answer to the next, in microseconds.
    pub token_times: Distribution<19>,
}

impl Default for Distributions {
    fn default() -> Self {
        Self { step_tokens: Distribution::new(&STEP_TOKENS), token_times: Distribution::new(&TOKEN_TIMES) }
    }
}
