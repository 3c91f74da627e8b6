//! A place for one request at a time, and what its sequence still holds of earlier requests.

use super::{Namespace, Prompt, RequestId, SeqId, SeqOp, StateId, Token, job::Job};

/// The activity of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlotState {
    /// It has no request.
    Idle,
    /// It reads the prompt, or tokens that were forced.
    Prefill {
        /// Tokens of the sequence read so far.
        done: usize,
    },
    /// It writes the answer.
    Decode,
}

/// A place for one request; its number is the number of its sequence.
#[derive(Debug, Default)]
pub(super) struct Slot {
    pub(super) job: Option<Job>,
    /// The tokens in the decoder's cache.
    pub(super) history: Vec<Token>,
    /// The namespace that may reuse them.
    pub(super) namespace: Namespace,
    /// Cached states of the sequence, in ascending order of length.
    pub(super) states: Vec<SlotCachedState>,
    /// Whether the decoder's sequence may hold anything after the history, and must be cleared or rewound.
    pub(super) broken: bool,
    /// The turn of its last request.
    pub(super) used: u64,
}

/// A cached state of a slot's sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SlotCachedState {
    pub(super) state: StateId,
    pub(super) length: usize,
    pub(super) bytes: u64,
    /// The turn of the last request that it served.
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

    /// Cuts the sequence to its first tokens. States beyond them must have been released.
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

    /// Falls back to the longest beginning that survives a failed step: `intact` tokens if the decoder can trim,
    /// otherwise the last cached state.
    pub(super) fn fall_back(&mut self, intact: usize, can_trim: bool) {
        let length = if can_trim { intact } else { self.states.last().map_or(0, |state| state.length) };
        self.history.truncate(length);
        self.broken = true;
    }

    /// Discards the whole sequence and returns its states.
    pub(super) fn lose(&mut self) -> impl Iterator<Item = StateId> {
        self.history.clear();
        self.broken = true;
        std::mem::take(&mut self.states).into_iter().map(|state| state.state)
    }

    /// How much of a prompt the sequence holds, if the prompt may reuse it.
    pub(super) fn held(&self, prompt: Prompt<'_>) -> usize {
        if self.namespace == prompt.namespace { prompt.shared(&self.history) } else { 0 }
    }

    pub(super) fn serves(&self, id: RequestId) -> bool {
        self.job.as_ref().is_some_and(|job| job.id == id)
    }
}

/// The number of runs of adjacent busy slots, counting one that is about to be busy.
pub(super) fn runs(slots: &[Slot], added: Option<usize>) -> usize {
    let works = |index: usize| Some(index) == added || slots[index].job.is_some();
    (0..slots.len()).filter(|&index| works(index) && (index == 0 || !works(index - 1))).count()
}
