//! A place for one request at a time, and what its sequence still holds of the requests before.

use super::{RequestId, SeqId, SeqOp, StateId, Token, job::Job};

/// Where a slot is in a request's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlotState {
    /// No request.
    Idle,
    /// The prompt is being read, or what was put into the model's mouth.
    Prefill {
        /// Tokens of the sequence read so far.
        done: usize,
    },
    /// The answer is being written.
    Decode,
}

/// A place for one request; its number is the number of its sequence.
#[derive(Debug, Default)]
pub(super) struct Slot {
    pub(super) job: Option<Job>,
    /// The tokens in the decoder's cache.
    pub(super) history: Vec<Token>,
    /// States the sequence can go back to, by rising length.
    pub(super) kept: Vec<KeptState>,
    /// Whether the cache may hold anything behind the last kept state.
    pub(super) broken: bool,
    /// The turn of its last request.
    pub(super) used: u64,
}

/// A state of a sequence that its decoder keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct KeptState {
    pub(super) state: StateId,
    pub(super) length: usize,
    pub(super) bytes: u64,
    /// The turn of the last request it was of use to.
    pub(super) used: u64,
}

impl Slot {
    pub(super) fn state(&self) -> SlotState {
        match &self.job {
            None => SlotState::Idle,
            Some(job) if job.is_writing() && job.tokens.len() == self.history.len() + 1 => SlotState::Decode,
            Some(_) => SlotState::Prefill { done: self.history.len() },
        }
    }

    /// Cuts the sequence to its first tokens; the states behind are not kept any more.
    pub(super) fn rewind(&mut self, seq: SeqId, length: usize, state: Option<StateId>) -> Option<SeqOp> {
        let op = if length == 0 {
            (self.broken || !self.history.is_empty()).then_some(SeqOp::Clear { seq })
        } else {
            let cut = self.broken || length < self.history.len();
            cut.then_some(SeqOp::Rewind { seq, length: u32::try_from(length).unwrap_or(u32::MAX), state })
        };
        self.history.truncate(length);
        self.broken = false;
        op
    }

    /// Gives up what lies behind the last kept state.
    pub(super) fn lose_tail(&mut self) {
        self.history.truncate(self.kept.last().map_or(0, |kept| kept.length));
        self.broken = true;
    }

    /// Gives up everything; returns the states nobody needs any more.
    pub(super) fn lose(&mut self) -> impl Iterator<Item = StateId> {
        self.history.clear();
        self.broken = true;
        std::mem::take(&mut self.kept).into_iter().map(|kept| kept.state)
    }

    pub(super) fn is_of(&self, id: RequestId) -> bool {
        self.job.as_ref().is_some_and(|job| job.id == id)
    }
}
