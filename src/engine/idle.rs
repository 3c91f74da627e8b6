//! The sequence of an idle slot, and the lengths at which it can be copied out.

use super::{Namespace, SeqId, StateId, Token};

/// The sequence of an idle slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdleSequence {
    /// The sequence.
    pub seq: SeqId,
    /// The namespace that may reuse it.
    pub namespace: Namespace,
    /// Its tokens.
    pub tokens: Vec<Token>,
    /// Where it can be cut.
    pub cuts: Cuts,
}

/// Where a sequence can be cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cuts {
    /// At any length.
    Anywhere,
    /// Where states are cached, in ascending order of length.
    States(Vec<(usize, StateId)>),
}

impl IdleSequence {
    /// The longest beginning of at least `least` and at most `most` tokens that can be copied out; zero if none can.
    #[must_use]
    pub fn longest(&self, least: usize, most: usize) -> usize {
        let whole = self.tokens.len();
        let length = if whole <= most {
            whole
        } else {
            match &self.cuts {
                Cuts::Anywhere => most,
                Cuts::States(states) => states
                    .iter()
                    .map(|&(length, _)| length)
                    .filter(|&length| length <= most)
                    .max()
                    .unwrap_or(0),
            }
        };
        if length >= least { length } else { 0 }
    }

    /// The state that a cut at this length restores, if it restores one; `None` if the sequence cannot be cut there.
    #[expect(clippy::option_option, reason = "whether it can be cut, and whether that takes a state")]
    pub(super) fn cut(&self, length: usize) -> Option<Option<StateId>> {
        if length == 0 || length > self.tokens.len() {
            return None;
        }
        match &self.cuts {
            _ if length == self.tokens.len() => Some(None),
            Cuts::Anywhere => Some(None),
            Cuts::States(states) => {
                states.iter().find(|&&(at, _)| at == length).map(|&(_, state)| Some(state))
            }
        }
    }
}
