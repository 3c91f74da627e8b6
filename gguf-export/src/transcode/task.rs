//! A conversion task, with buffers and helpers shared by all encodings.

use std::ops::Range;

use crate::arch::Map;
use crate::checkpoint::{Checkpoint, TensorId};
use crate::ggml::GgmlType;
use crate::plan::Form;
use crate::quant::Weight;
use crate::{Error, Result};

/// The conversion of rows of one weight to one type.
pub(super) struct Task<'a> {
    pub(super) checkpoint: &'a Checkpoint,
    pub(super) weight: &'a Weight,
    /// Rows of the weight.
    pub(super) rows: Range<u64>,
    pub(super) ty: GgmlType,
    pub(super) form: Form,
    /// True if values may be rounded.
    pub(super) rounding: bool,
    pub(super) map: Map,
}

impl Task<'_> {
    /// Number of rows.
    pub(super) fn count(&self) -> usize {
        at(self.rows.end - self.rows.start)
    }

    pub(super) fn columns(&self) -> usize {
        at(self.weight.columns)
    }

    /// The error for a value that the type cannot hold, or when rounding exceeds its range; `row` is relative to the task.
    pub(super) fn misfit(&self, row: usize, column: usize, value: f64) -> Error {
        let at = self.checkpoint.locate(self.weight.main());
        let (row, column) = (self.rows.start + row as u64, column as u64);
        let (value, ty) = (format!("{value:e}"), self.ty.name());
        if self.rounding {
            Error::OutOfRange { at, row, column, value, ty }
        } else {
            Error::NotRepresentable { at, row, column, value, ty }
        }
    }

    /// The error for a scale or value that is NaN or infinite; `row` is relative to the task.
    pub(super) fn not_finite(&self, id: TensorId, row: usize, column: usize) -> Error {
        Error::Tensor {
            at: self.checkpoint.locate(id),
            found: format!("row {}, column {column} is NaN or infinite", self.rows.start + row as u64),
            expected: "finite numbers".to_owned(),
        }
    }
}

/// Buffers that a thread reuses for all its tiles.
#[derive(Debug, Default)]
pub struct Scratch {
    pub(super) codes: Vec<u8>,
    pub(super) scales: Vec<u8>,
    pub(super) zeros: Vec<u8>,
    pub(super) ints: Rows,
    pub(super) values: Vec<f64>,
}

/// Unpacked rows of integer codes.
#[derive(Debug, Default)]
pub(super) struct Rows {
    /// Unsigned codes, row-major.
    pub(super) codes: Vec<u8>,
    /// Zero points, row-major with groups fastest; empty if all are `2^(bits - 1)`.
    pub(super) zeros: Vec<i16>,
    /// Scales, row-major with groups fastest.
    pub(super) scales: Vec<f32>,
    /// Group of each column; empty if it is `column / group`.
    pub(super) order: Vec<u32>,
}

/// Reads the task's rows of a tensor that is not transposed.
pub(super) fn read_rows(task: &Task<'_>, id: TensorId, row_bytes: u64, buffer: &mut Vec<u8>) -> Result<()> {
    buffer.resize(task.count() * at(row_bytes), 0);
    task.checkpoint.read(id, task.rows.start * row_bytes, buffer)
}

/// Rounds to the nearest F32.
#[expect(clippy::cast_possible_truncation, reason = "rounding to F32 is the purpose")]
pub(super) fn nearest(x: f64) -> f32 {
    x as f32
}

/// Converts an index. A value that does not fit `usize` becomes `usize::MAX`, which is out of bounds everywhere.
pub(super) fn at(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}
