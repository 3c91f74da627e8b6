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

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "both are decoded by the same code")]
mod tests {
    use testkit::{Encoding, Gptq, Model};

    use super::*;
    use crate::PlanOptions;
    use crate::plan::Plan;

    #[test]
    fn columns_and_entries_are_those_of_whole_rows() {
        for encoding in [Encoding::Gptq(Gptq::sym(4, 32)), Encoding::Bf16, Encoding::F32] {
            let dir = tempfile::tempdir().unwrap();
            Model::uniform(encoding).write(dir.path());
            let checkpoint = Checkpoint::open(dir.path()).unwrap();
            let plan = Plan::draft(&checkpoint, &PlanOptions::default()).unwrap();
            let tensor = plan.tensors.iter().find(|t| t.name == "blk.0.ffn_down_shexp.weight").unwrap();
            let weight = &plan.weights[tensor.pieces[0].weight as usize];
            let width = at(weight.columns);
            let whole = reference::decode(&checkpoint, weight, 3..10).unwrap().values;
            for (first, step, count) in [(0, 1, 5), (1, 2, 8), (weight.columns - 1, 1, 1)] {
                let found = columns(&checkpoint, weight, 3..10, (first, step, count)).unwrap();
                for (i, found) in found.iter().enumerate() {
                    let (row, line) = (i / 7, i % 7);
                    assert_eq!(
                        *found,
                        whole[line * width + at(first) + row * at(step)],
                        "{encoding:?} {row} {line}"
                    );
                }
                assert_eq!(found.len(), at(count) * 7);
            }
            for first in [0, 1] {
                let found = entries(&checkpoint, weight, 3..10, first).unwrap();
                for (i, found) in found.iter().enumerate() {
                    let (row, entry) = (i / (width / 2), i % (width / 2));
                    assert_eq!(
                        *found,
                        whole[row * width + at(first) + 2 * entry],
                        "{encoding:?} {row} {entry}"
                    );
                }
                assert_eq!(found.len(), 7 * width / 2);
            }
        }
    }
}
