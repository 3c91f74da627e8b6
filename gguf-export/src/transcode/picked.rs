//! Makes rows from values that are not neighbors in the source: from its columns, or from every second value of a row.

use std::ops::Range;

use super::float;
use super::task::{Task, at};
use crate::checkpoint::TensorId;
use crate::ggml::GgmlType;
use crate::quant::{Coding, Float};
use crate::{Error, Result};

/// Values of neighboring columns, row-major.
#[derive(Debug)]
pub(super) struct Strip {
    /// The first column.
    first: u64,
    /// Number of columns.
    width: usize,
    values: Vec<f32>,
}

/// Reads the task's rows, as far as `columns` reach. Of plain floats, whose rows may be long, only that part is read;
/// `decode` decodes whole rows of other encodings.
pub(super) fn strip(
    task: &Task<'_>,
    columns: &[u64],
    decode: impl FnOnce(&Task<'_>, &mut [u8]) -> Result<()>,
) -> Result<Strip> {
    if let Coding::Plain { values, dtype } = task.weight.coding {
        let first = columns.iter().copied().min().unwrap_or(0);
        let end = columns.iter().copied().max().map_or(0, |last| last + 1);
        return part_of_rows(task, values, dtype, first..end);
    }
    whole_rows(task, decode)
}

fn part_of_rows(task: &Task<'_>, id: TensorId, dtype: Float, columns: Range<u64>) -> Result<Strip> {
    let width = at(columns.end - columns.start);
    let mut raw = vec![0; width * at(dtype.bytes())];
    let mut values = Vec::with_capacity(task.count() * width);
    for row in task.rows.clone() {
        let place = (row * task.weight.columns + columns.start) * dtype.bytes();
        task.checkpoint.read(id, place, &mut raw)?;
        values.extend((0..width).map(|i| float::value(&raw, dtype, i)));
    }
    Ok(Strip { first: columns.start, width, values })
}

fn whole_rows(task: &Task<'_>, decode: impl FnOnce(&Task<'_>, &mut [u8]) -> Result<()>) -> Result<Strip> {
    let mut bytes = vec![0; task.count() * task.columns() * 4];
    decode(task, &mut bytes)?;
    let values = bytes.as_chunks::<4>().0.iter().map(|value| f32::from_le_bytes(*value)).collect();
    Ok(Strip { first: 0, width: task.columns(), values })
}

/// Fills `out` with the columns of a strip of the task's rows, each as a row of a float type.
pub(super) fn transpose(
    task: &Task<'_>,
    ty: GgmlType,
    columns: &[u64],
    strip: &Strip,
    out: &mut [u8],
) -> Result<()> {
    let encoder = Task { ty, rows: task.rows.clone(), ..*task };
    let row_bytes = out.len() / columns.len().max(1);
    let mut values = Vec::with_capacity(task.count());
    for (&column, out) in columns.iter().zip(out.chunks_exact_mut(row_bytes)) {
        let picked = strip.values.iter().skip(at(column - strip.first)).step_by(strip.width);
        values.clear();
        values.extend(picked.map(|value| f64::from(*value)));
        if let Some(row) = values.iter().position(|value| !value.is_finite()) {
            return Err(task.not_finite(task.weight.main(), row, at(column)));
        }
        float::encode(&encoder, 0, &values, out).map_err(|error| turned(error, task.rows.start, column))?;
    }
    Ok(())
}

/// The error with the place in the source: its column there is a row of the source, and all are in one column.
fn turned(error: Error, start: u64, source: u64) -> Error {
    match error {
        Error::NotRepresentable { at, column, value, ty, .. } => {
            Error::NotRepresentable { at, row: start + column, column: source, value, ty }
        }
        Error::OutOfRange { at, column, value, ty, .. } => {
            Error::OutOfRange { at, row: start + column, column: source, value, ty }
        }
        other => other,
    }
}

/// Fills `out` with every second of the F32 values of each row, from the column `first`.
pub(super) fn entries(rows: &[u8], columns: usize, first: u64, out: &mut [u8]) {
    let values = rows.as_chunks::<4>().0.chunks_exact(columns);
    let picked = values.flat_map(|row| row.iter().skip(at(first)).step_by(2));
    for (out, value) in out.as_chunks_mut::<4>().0.iter_mut().zip(picked) {
        *out = *value;
    }
}
