//! Cuts tensors into tiles: the unit of reading, of writing, of memory and of resumption.

use std::ops::Range;

use crate::plan::TensorPlan;

/// Bytes that a tile should have in the GGUF: enough to hide the cost of a call, little enough that source and
/// result are still in the processor's cache when the result is written.
pub(crate) const TILE_BYTES: u64 = 1 << 20;
/// Rows that are cut are cut at multiples of this, so that packed words of neighbours are not read twice.
const ROWS: u64 = 32;

/// Row ranges that cover a tensor in order.
///
/// Pieces (experts, heads) stay whole where they fit: reading part of the columns of a transposed source costs a
/// call for every line of it.
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
    if tensor.content == crate::plan::Content::Factors {
        tiles = std::iter::once(0..tensor.rows()).collect();
    }
    tiles
}
