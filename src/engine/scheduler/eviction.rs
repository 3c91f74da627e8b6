//! A sequence that is overwritten.

use crate::engine::{SeqId, Token};

/// An idle slot's sequence that the next step overwrites.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Eviction {
    /// The sequence, which the decoder still has.
    pub seq: SeqId,
    /// Its tokens.
    pub tokens: Vec<Token>,
    /// How many of them, counted from the first, the slot still holds afterwards.
    pub stays: usize,
}
