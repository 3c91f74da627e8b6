//! A sequence that is overwritten.

use crate::engine::{IdleSequence, SeqOp, Step};

/// An idle slot's sequence that the next step overwrites.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Eviction {
    /// The sequence, which the decoder still has.
    pub sequence: IdleSequence,
    /// How many of its tokens, counted from the first, the slot still holds afterwards.
    pub stays: usize,
}

impl Eviction {
    /// How much of the sequence must be left for the step that overwrites it.
    #[must_use]
    pub fn needed(&self, step: &Step) -> usize {
        let copied = step.ops.iter().filter_map(|op| match op {
            SeqOp::Copy { from, length, .. } if *from == self.sequence.seq => Some(*length as usize),
            _ => None,
        });
        copied.max().unwrap_or(0).max(self.stays)
    }
}
