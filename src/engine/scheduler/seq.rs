//! Slots and sequences have the same numbers.

use crate::engine::SeqId;

/// The sequence of a slot.
pub(super) fn seq(index: usize) -> SeqId {
    SeqId(u32::try_from(index).unwrap_or(u32::MAX))
}
