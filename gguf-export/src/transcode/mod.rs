//! Carries rows of a plan from the checkpoint into a buffer: integers and small floats as codes, row by row.
//!
//! Not here: files, threads, names. `export` and `survey` call [`fill`] with tiles of their choice; the bytes do
//! not depend on how the tiles are cut.

mod affine;
mod blocks;
mod float;
mod int;
pub mod kernels;
mod micro;
mod superblocks;
mod unpack;
mod zeros;

use std::ops::Range;

use crate::checkpoint::Checkpoint;
use crate::ggml::GgmlType;
use crate::plan::{Certainty, Content, Form, Plan, TensorPlan};
use crate::quant::{Coding, Weight};
use crate::{Error, Result};

/// Buffers that one thread uses again for every tile.
#[derive(Debug, Default)]
pub struct Scratch {
    codes: Vec<u8>,
    scales: Vec<u8>,
    zeros: Vec<u8>,
    ints: int::Rows,
    values: Vec<f64>,
}

/// What one call to a kernel is about.
struct Task<'a> {
    checkpoint: &'a Checkpoint,
    weight: &'a Weight,
    /// Rows of the weight.
    rows: Range<u64>,
    ty: GgmlType,
    form: Form,
    /// Whether the caller asked for the type, exact or not.
    rounding: bool,
    map: crate::arch::Map,
}

/// Writes `rows` of a tensor into `out`, which they fill.
///
/// # Errors
/// [`Error::NotRepresentable`] where the tensor's first candidate cannot hold a value, [`Error::Tensor`] for data
/// that contradicts its format, [`Error::Io`] if it cannot be read.
///
/// # Panics
/// If `out` has another length.
pub fn fill(
    checkpoint: &Checkpoint,
    plan: &Plan,
    tensor: &TensorPlan,
    rows: Range<u64>,
    scratch: &mut Scratch,
    out: &mut [u8],
) -> Result<()> {
    let candidate = tensor.candidates[0];
    let row_bytes = usize::try_from(tensor.row_bytes()).unwrap_or(usize::MAX);
    if tensor.content == Content::Factors {
        return factors(checkpoint, plan, tensor, out);
    }
    let mut out = out;
    let mut first = 0;
    for piece in &tensor.pieces {
        let last = first + piece.rows;
        let (from, to) = (rows.start.max(first), rows.end.min(last));
        if from < to {
            let (here, rest) = out.split_at_mut(usize::try_from(to - from).unwrap_or(0) * row_bytes);
            out = rest;
            let task = Task {
                checkpoint,
                weight: &plan.weights[piece.weight as usize],
                rows: piece.start + from - first..piece.start + to - first,
                ty: candidate.ty,
                form: candidate.form,
                rounding: candidate.certainty == Certainty::Rounded,
                map: tensor.map,
            };
            task.run(scratch, here)?;
        }
        first = last;
    }
    assert!(out.is_empty(), "the buffer must hold the rows and nothing else");
    Ok(())
}

/// One F32 a piece: the factor of its whole tensor.
fn factors(checkpoint: &Checkpoint, plan: &Plan, tensor: &TensorPlan, out: &mut [u8]) -> Result<()> {
    for (piece, out) in tensor.pieces.iter().zip(out.as_chunks_mut::<4>().0) {
        let weight = &plan.weights[piece.weight as usize];
        let factor = match &weight.coding {
            Coding::Micro(micro) => micro::factor(checkpoint, micro)?,
            Coding::Fp8(fp8) => Some(float::scales(checkpoint, fp8.scale)?[0]),
            Coding::Plain { .. } | Coding::Int(_) | Coding::Affine(_) => None,
        };
        *out = nearest(factor.unwrap_or(1.0)).to_le_bytes();
    }
    Ok(())
}

impl Task<'_> {
    fn run(&self, scratch: &mut Scratch, out: &mut [u8]) -> Result<()> {
        match &self.weight.coding {
            Coding::Plain { values, dtype } => float::plain(self, *values, *dtype, scratch, out),
            Coding::Int(int) => int::transcode(self, int, scratch, out),
            Coding::Affine(affine) => affine::transcode(self, affine, scratch, out),
            Coding::Fp8(fp8) => float::fp8(self, fp8, scratch, out),
            Coding::Micro(micro) => micro::transcode(self, micro, scratch, out),
        }
    }

    /// Number of rows.
    fn count(&self) -> usize {
        at(self.rows.end - self.rows.start)
    }

    fn columns(&self) -> usize {
        at(self.weight.columns)
    }

    /// The refusal of a value at a row of this task and a column.
    fn misfit(&self, row: usize, column: usize, value: f64) -> Error {
        Error::NotRepresentable {
            at: self.checkpoint.locate(self.weight.main()),
            row: self.rows.start + row as u64,
            column: column as u64,
            value: value.to_string(),
            ty: self.ty.name(),
        }
    }

    /// The refusal of a scale or value that is no number.
    fn not_finite(&self, id: crate::checkpoint::TensorId, row: usize, column: usize) -> Error {
        Error::Tensor {
            at: self.checkpoint.locate(id),
            found: format!("row {}, column {column} is NaN or infinite", self.rows.start + row as u64),
            expected: "finite numbers".to_owned(),
        }
    }
}

/// The nearest F32; whether that is the value itself is asked where it matters.
#[expect(clippy::cast_possible_truncation, reason = "F32 is what is asked for")]
fn nearest(x: f64) -> f32 {
    x as f32
}

fn at(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}
