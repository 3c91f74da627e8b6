//! How much a scheduler takes on.

use crate::engine::Caps;

/// How much a scheduler takes on.
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
    /// The shortest common prefix for which a sequence is copied, or another request's prefill waited for.
    pub min_shared_prefix: u32,
    /// One request at a time, computed as if there were no other. Rounding, and so the text, depends on what is
    /// computed together.
    pub deterministic: bool,
}

impl Limits {
    /// All that the decoder can do at once, a queue of 256, prefixes shared from 32 tokens on, no cached states.
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

/// How many prompt tokens a step may read while other requests write: a long prompt stalls their answers for the time
/// that its share of a step takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PrefillBudget {
    /// As many as are read in a quarter of a second, by the measured rate; at least 32.
    #[default]
    Auto,
    /// This many; at least one.
    Tokens(u32),
    /// As many as the batch has room for.
    Unlimited,
}
