//! Brings the columns of stored rows back into the order of the checkpoint.

use super::report::Difference;
use crate::arch::Columns;
use crate::plan::TensorPlan;

/// The columns of a tensor whose order differs from that of the checkpoint.
#[derive(Debug)]
pub(super) struct Moved {
    /// The block of the checkpoint that each stored block came from.
    origins: Vec<usize>,
    block_bytes: usize,
    /// Columns of a block.
    block: u64,
}

impl Moved {
    /// `None` if the columns are in the order of the checkpoint.
    pub(super) fn of(tensor: &TensorPlan) -> Option<Self> {
        let Columns::Runs(runs) = &tensor.order else { return None };
        let block = tensor.ty().block_len();
        assert!(tensor.order.keep_blocks(block), "types that split blocks are reported before");
        let origins = runs.iter().flat_map(|&(start, len)| start / block..(start + len) / block);
        Some(Self {
            origins: origins.map(|origin| usize::try_from(origin).unwrap_or(usize::MAX)).collect(),
            block_bytes: usize::try_from(tensor.ty().block_bytes()).unwrap_or(usize::MAX),
            block,
        })
    }

    /// Rearranges whole rows.
    pub(super) fn undo(&self, rows: &mut [u8]) {
        let length = self.origins.len() * self.block_bytes;
        for row in rows.chunks_exact_mut(length) {
            let stored = row.to_vec();
            for (block, &origin) in stored.chunks_exact(self.block_bytes).zip(&self.origins) {
                row[origin * self.block_bytes..][..self.block_bytes].copy_from_slice(block);
            }
        }
    }

    /// Replaces the column of the checkpoint in a difference by the stored one.
    pub(super) fn place(&self, difference: &mut Difference) {
        let (Difference::Value { column, .. } | Difference::Scale { column, .. }) = difference else {
            return;
        };
        let (origin, offset) = (*column / self.block, *column % self.block);
        let stored = self.origins.iter().zip(0..).find(|(o, _)| **o as u64 == origin);
        if let Some((_, block)) = stored {
            *column = block * self.block + offset;
        }
    }
}
