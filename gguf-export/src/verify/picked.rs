//! The values of rows that are made value by value: from columns of the checkpoint, or from every second value of a row.

use std::ops::Range;

use crate::Result;
use crate::checkpoint::Checkpoint;
use crate::quant::{Weight, reference};

/// The values of columns of a weight, one column after another, in the rows `source`: `count` columns from `first` on, each
/// `step` after the one before.
pub(super) fn columns(
    checkpoint: &Checkpoint,
    weight: &Weight,
    source: Range<u64>,
    (first, step, count): (u64, u64, u64),
) -> Result<Vec<f64>> {
    let last = first + count.saturating_sub(1) * step;
    let decoded = reference::decode_columns(checkpoint, weight, source, first..last + 1)?;
    let width = at(last + 1 - first);
    let column = |index: u64| decoded.iter().skip(at(index * step)).step_by(width).copied();
    Ok((0..count).flat_map(column).collect())
}

/// Every second value of the rows `source` of a weight, from the column `first` on, row by row.
pub(super) fn entries(
    checkpoint: &Checkpoint,
    weight: &Weight,
    source: Range<u64>,
    first: u64,
) -> Result<Vec<f64>> {
    let decoded = reference::decode(checkpoint, weight, source)?.values;
    let is_picked = |column: u64| column >= first && (column - first).is_multiple_of(2);
    let columns = (0..weight.columns).cycle();
    Ok(decoded.into_iter().zip(columns).filter(|(_, column)| is_picked(*column)).map(|(v, _)| v).collect())
}

/// Converts an index. A value that does not fit `usize` becomes `usize::MAX`, which is out of bounds everywhere.
fn at(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}
