//! Cuts tensors into tiles: row ranges that are read, held in memory, written and resumed as a unit.

use std::ops::Range;

use crate::plan::TensorPlan;

/// Target size of a tile in the GGUF, in bytes: large enough to amortize a system call, small enough that source and
/// result are still in the CPU's cache when the result is written.
pub(crate) const TILE_BYTES: u64 = 1 << 20;
/// Pieces are cut at multiples of this many rows, so that a packed word is not read by two tiles.
const ROWS: u64 = 32;

/// Row ranges that cover a tensor in order.
///
/// Pieces (experts, heads) stay whole where they fit: reading some columns of a transposed source costs one read for
/// each of its lines.
pub(crate) fn tiles(tensor: &TensorPlan) -> Vec<Range<u64>> {
    let most = (TILE_BYTES / tensor.row_bytes().max(1)).max(1);
    let most = if most > ROWS { most / ROWS * ROWS } else { most };
    let mut tiles = Vec::new();
    let (mut start, mut end) = (0, 0);
    for piece in &tensor.pieces {
        let last = end + piece.rows;
        if last - start > most && end > start {
            tiles.push(start..end);
            start = end;
        }
        while last - start > most {
            tiles.push(start..start + most);
            start += most;
        }
        end = last;
    }
    if end > start {
        tiles.push(start..end);
    }
    if tensor.content != crate::plan::Content::Weights {
        tiles = std::iter::once(0..tensor.rows()).collect();
    }
    tiles
}
