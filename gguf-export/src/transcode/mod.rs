//! Converts rows of a planned tensor into a buffer, moving the codes of integers and small floats unchanged.
//!
//! Not here: files, threads, names. `export` and `survey` call [`fill`] once per tile; the bytes do not depend on the
//! tile boundaries.

mod affine;
mod blocks;
mod columns;
mod float;
mod int;
pub mod kernels;
mod micro;
mod narrow;
mod picked;
mod rows;
mod superblocks;
mod task;
mod unpack;
mod zeros;

use std::ops::Range;

pub use task::Scratch;

use task::{Task, nearest};

use crate::Result;
use crate::arch::Rows;
use crate::checkpoint::Checkpoint;
use crate::ggml::GgmlType;
use crate::plan::{Certainty, Content, Plan, TensorPlan};
use crate::quant::Coding;

/// Converts `rows` of a tensor to the type of its first candidate and fills `out` with them.
///
/// # Errors
/// [`Error::NotRepresentable`](crate::Error::NotRepresentable) if the type cannot hold a value exactly and the candidate
/// is not rounded, [`Error::Tensor`](crate::Error::Tensor) for data that contradicts its format,
/// [`Error::Io`](crate::Error::Io) if the data cannot be read.
///
/// # Panics
/// If `out` is not exactly as long as the rows.
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
    match tensor.content {
        Content::Weights => {}
        Content::Factors => return factors(checkpoint, plan, tensor, out),
        Content::RopeFactors => {
            rope_factors(plan, out);
            return Ok(());
        }
    }
    let mut out = out;
    let mut first = 0;
    for piece in &tensor.pieces {
        let last = first + piece.rows;
        let (from, to) = (rows.start.max(first), rows.end.min(last));
        if from < to {
            let (here, rest) = out.split_at_mut(usize::try_from(to - from).unwrap_or(0) * row_bytes);
            out = rest;
            let task = |rows: Range<u64>, ty| Task {
                checkpoint,
                weight: &plan.weights[piece.weight as usize],
                rows: piece.start + rows.start..piece.start + rows.end,
                ty,
                form: candidate.form,
                rounding: candidate.certainty == Certainty::Rounded,
                map: tensor.map,
            };
            let mut straight =
                |rows: Range<u64>, out: &mut [u8]| transcode(&task(rows, candidate.ty), scratch, out);
            let here_rows = from - first..to - first;
            match piece.order {
                Rows::AsStored => straight(here_rows, here)?,
                Rows::Interleaved => rows::interleave(here_rows, piece.rows, row_bytes, here, straight)?,
                Rows::Alternate => rows::alternate(here_rows, row_bytes, here, straight)?,
                Rows::Transposed { first, step } => {
                    let columns: Vec<u64> = here_rows.map(|row| first + row * step).collect();
                    let source = task(0..tensor.columns(), GgmlType::F32);
                    let decode = |task: &Task<'_>, out: &mut [u8]| transcode(task, scratch, out);
                    let strip = picked::strip(&source, &columns, decode)?;
                    picked::transpose(&source, candidate.ty, &columns, &strip, here)?;
                }
                Rows::Entries { first } => {
                    let source = task(here_rows, GgmlType::F32);
                    let mut all = vec![0; source.count() * source.columns() * 4];
                    transcode(&source, scratch, &mut all)?;
                    picked::entries(&all, source.columns(), first, here);
                }
            }
            columns::reorder(&tensor.order, candidate.ty, row_bytes, here);
        }
        first = last;
    }
    assert!(out.is_empty(), "the buffer must be as long as the rows");
    Ok(())
}

fn rope_factors(plan: &Plan, out: &mut [u8]) {
    let factors = plan.hparams.rope.factors().unwrap_or_default();
    for (out, factor) in out.as_chunks_mut::<4>().0.iter_mut().zip(factors) {
        *out = factor.to_le_bytes();
    }
}

/// Writes the tensor-wide factor of each piece as F32.
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

fn transcode(task: &Task<'_>, scratch: &mut Scratch, out: &mut [u8]) -> Result<()> {
    match &task.weight.coding {
        Coding::Plain { values, dtype } => float::plain(task, *values, *dtype, scratch, out),
        Coding::Int(int) => int::transcode(task, int, scratch, out),
        Coding::Affine(affine) => affine::transcode(task, affine, scratch, out),
        Coding::Fp8(fp8) => float::fp8(task, fp8, scratch, out),
        Coding::Micro(micro) => micro::transcode(task, micro, scratch, out),
    }
}
