//! The limits of a scheduler.

use crate::engine::Caps;

/// The limits of a scheduler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Requests served at once; at most the decoder's sequences.
    pub slots: u32,
    /// Tokens of one step; at most the decoder's batch, and at least `slots`.
    pub batch: u32,
    /// Prompt tokens of a step that also writes answers.
    pub prefill_budget: PrefillBudget,
    /// Requests that may wait.
    pub queue: usize,
    /// Bytes of cached states, from which later prompts resume.
    pub state_cache: u64,
    /// The shortest common prefix for which a sequence is copied or another request's prefill is awaited.
    pub min_shared_prefix: u32,
    /// One request at a time, computed as if it were the only one. Rounding, and therefore the text, depends on which
    /// tokens are computed together.
    pub deterministic: bool,
}

impl Limits {
    /// Everything that the decoder can do at once, a queue of 256, prefixes shared from 32 tokens on, no cached states.
    #[must_use]
    pub fn of(caps: Caps) -> Self {
        Self {
            slots: caps.sequences,
            batch: caps.batch,
            prefill_budget: PrefillBudget::default(),
            queue: 256,
            state_cache: 0,
            min_shared_prefix: 32,
            deterministic: false,
        }
    }
}

/// The number of prompt tokens that a step may read while other requests generate: a long prompt stalls their answers
/// for the time that its share of a step takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PrefillBudget {
    /// As many as are read in a fifth of a second, by the measured rate; at least 32.
    #[default]
    Auto,
    /// This many; at least one.
    Tokens(u32),
    /// As many as the batch has room for.
    Unlimited,
}
