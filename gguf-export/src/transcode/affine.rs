//! Converts integer codes with a bias to Q4_1 blocks or floats.

use half::f16;

use super::blocks::half_scale;
use super::float::{self, value};
use super::task::{Scratch, Task, at, nearest, read_rows};
use super::unpack::{stream, word};
use crate::Result;
use crate::checkpoint::TensorId;
use crate::ggml::GgmlType;
use crate::quant::{Affine, Float};

pub(super) fn transcode(
    task: &Task<'_>,
    affine: &Affine,
    scratch: &mut Scratch,
    out: &mut [u8],
) -> Result<()> {
    let Scratch { codes: raw, values, .. } = scratch;
    let groups = at(affine.groups);
    let scales = floats(task, affine, affine.scales, raw)?;
    let biases = floats(task, affine, affine.biases, raw)?;
    let stride = task.checkpoint.info(affine.codes).bytes / task.weight.rows;
    read_rows(task, affine.codes, stride, raw)?;
    let row_bytes = out.len() / task.count().max(1);
    let mut codes = vec![0u8; task.columns()];
    for (row, out) in out.chunks_exact_mut(row_bytes).enumerate() {
        let line = &raw[row * at(stride)..][..at(stride)];
        #[expect(clippy::cast_possible_truncation, reason = "codes have at most eight bits")]
        stream(affine.bits, None, codes.len(), |w| word(line, w), |i, q| codes[i] = q as u8);
        let (scales, biases) = (&scales[row * groups..][..groups], &biases[row * groups..][..groups]);
        if task.ty == GgmlType::Q4_1 {
            let Some(column) = q4_1(affine, &codes, scales, biases, task.rounding, out) else { continue };
            return Err(task.misfit(row, column, f64::from(scales[column / at(affine.group)])));
        }
        values.clear();
        values.extend(codes.iter().enumerate().map(|(column, &code)| {
            let group = column / at(affine.group);
            f64::from(nearest(f64::from(scales[group]) * f64::from(code) + f64::from(biases[group])))
        }));
        float::encode(task, row, values, out)?;
    }
    Ok(())
}

/// Encodes a row of Q4_1 blocks: scale, bias, then the codes, the first half of them in the low nibbles. Returns the
/// first column of a block whose scale or bias does not fit F16.
fn q4_1(
    affine: &Affine,
    codes: &[u8],
    scales: &[f32],
    biases: &[f32],
    rounding: bool,
    out: &mut [u8],
) -> Option<usize> {
    for (block, (codes, out)) in codes.chunks_exact(32).zip(out.chunks_exact_mut(20)).enumerate() {
        let group = block * 32 / at(affine.group);
        let half = |value: f32| half_scale(value, rounding).map(f16::to_le_bytes);
        let (Some(scale), Some(bias)) = (half(scales[group]), half(biases[group])) else {
            return Some(block * 32);
        };
        let (low, high) = codes.split_at(16);
        out[..2].copy_from_slice(&scale);
        out[2..4].copy_from_slice(&bias);
        for ((out, low), high) in out[4..].iter_mut().zip(low).zip(high) {
            *out = low | high << 4;
        }
    }
    None
}

/// Reads the task's rows of a tensor of floats and checks that all are finite.
fn floats(
    task: &Task<'_>,
    affine: &Affine,
    (id, dtype): (TensorId, Float),
    raw: &mut Vec<u8>,
) -> Result<Vec<f32>> {
    read_rows(task, id, affine.groups * dtype.bytes(), raw)?;
    let groups = at(affine.groups);
    let values: Vec<f32> = (0..task.count() * groups).map(|i| value(raw, dtype, i)).collect();
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(values),
        Some(i) => Err(task.not_finite(id, i / groups, i % groups * at(affine.group))),
    }
}
