//! Converts by value: plain tensors, FP8, and all encodings without a matching block type.

use half::{bf16, f16};

use super::narrow::{to_bf16, to_f16};
use super::task::{Scratch, Task, at, nearest, read_rows};
use super::unpack::word;
use crate::Result;
use crate::arch::Map;
use crate::checkpoint::{Checkpoint, TensorId};
use crate::ggml::GgmlType;
use crate::plan::Form;
use crate::quant::{Float, Fp8, Fp8Format};

pub(super) fn plain(
    task: &Task<'_>,
    id: TensorId,
    dtype: Float,
    scratch: &mut Scratch,
    out: &mut [u8],
) -> Result<()> {
    let row_bytes = task.weight.columns * dtype.bytes();
    let same = matches!(
        (dtype, task.ty),
        (Float::F16, GgmlType::F16) | (Float::BF16, GgmlType::BF16) | (Float::F32, GgmlType::F32)
    );
    if same && task.map == Map::Identity {
        return task.checkpoint.read(id, task.rows.start * row_bytes, out);
    }
    read_rows(task, id, row_bytes, &mut scratch.codes)?;
    if task.ty == GgmlType::F32 {
        for (i, out) in out.as_chunks_mut::<4>().0.iter_mut().enumerate() {
            *out = task.map.apply(value(&scratch.codes, dtype, i)).to_le_bytes();
        }
        return Ok(());
    }
    let row_bytes = out.len() / task.count().max(1);
    for (row, out) in out.chunks_exact_mut(row_bytes).enumerate() {
        let first = row * task.columns();
        scratch.values.clear();
        scratch
            .values
            .extend((first..first + task.columns()).map(|i| f64::from(value(&scratch.codes, dtype, i))));
        encode(task, row, &scratch.values, out)?;
    }
    Ok(())
}

pub(super) fn fp8(task: &Task<'_>, fp8: &Fp8, scratch: &mut Scratch, out: &mut [u8]) -> Result<()> {
    let Scratch { codes, values, .. } = scratch;
    let scales = scales(task.checkpoint, fp8.scale)?;
    if let Some(bad) = scales.iter().position(|s| !s.is_finite()) {
        return Err(task.not_finite(fp8.scale.0, 0, bad));
    }
    read_rows(task, fp8.codes, task.weight.columns, codes)?;
    let table = eight_bit_values(fp8.format);
    let (tall, wide) = (fp8.block.0, at(fp8.block.1));
    let across = task.columns().div_ceil(wide);
    let row_bytes = out.len() / task.count().max(1);
    for (row, out) in out.chunks_exact_mut(row_bytes).enumerate() {
        let line = at((task.rows.start + row as u64) / tall) * across;
        let codes = &codes[row * task.columns()..][..task.columns()];
        values.clear();
        values.extend(codes.iter().enumerate().map(|(column, &code)| {
            let scale = if task.form == Form::Unscaled { 1.0 } else { scales[line + column / wide] };
            table[usize::from(code)] * scale
        }));
        encode(task, row, values, out)?;
    }
    Ok(())
}

/// Reads all scales of a tensor.
pub(super) fn scales(checkpoint: &Checkpoint, (id, dtype): (TensorId, Float)) -> Result<Vec<f64>> {
    let mut raw = Vec::new();
    checkpoint.read_all(id, &mut raw)?;
    Ok((0..raw.len() / at(dtype.bytes())).map(|i| f64::from(value(&raw, dtype, i))).collect())
}

/// Encodes a row of values in the task's type; fails at a value that does not fit exactly unless the task rounds.
#[expect(clippy::float_cmp, reason = "exactness is required")]
pub(super) fn encode(task: &Task<'_>, row: usize, values: &[f64], out: &mut [u8]) -> Result<()> {
    if let Some(column) = values.iter().position(|v| !v.is_finite()) {
        return Err(task.not_finite(task.weight.main(), row, column));
    }
    let fits = |stored: f64, value: f64| {
        if task.rounding { stored.is_finite() } else { stored == value }
    };
    let mut misfit = None;
    match task.ty {
        GgmlType::F32 => {
            for ((column, &value), out) in values.iter().enumerate().zip(out.as_chunks_mut::<4>().0) {
                let x = nearest(value);
                *out = x.to_le_bytes();
                if !fits(f64::from(x), value) {
                    misfit.get_or_insert(column);
                }
            }
        }
        GgmlType::BF16 | GgmlType::F16 => {
            for ((column, &value), out) in values.iter().enumerate().zip(out.as_chunks_mut::<2>().0) {
                let stored;
                (*out, stored) = if task.ty == GgmlType::BF16 {
                    let x = to_bf16(value);
                    (x.to_le_bytes(), x.to_f64())
                } else {
                    let x = to_f16(value);
                    (x.to_le_bytes(), x.to_f64())
                };
                if !fits(stored, value) {
                    misfit.get_or_insert(column);
                }
            }
        }
        GgmlType::Q8_0 if task.rounding => {
            let blocks = values.chunks_exact(32).zip(out.chunks_exact_mut(34));
            for (block, (values, out)) in blocks.enumerate() {
                if let Err(column) = round_to_q8_0(values, out) {
                    misfit.get_or_insert(block * 32 + column);
                }
            }
        }
        _ => misfit = Some(0),
    }
    match misfit {
        None => Ok(()),
        Some(column) => Err(task.misfit(row, column, values[column])),
    }
}

/// Rounds 32 values to a Q8_0 block like llama.cpp's converter: the largest magnitude becomes 127, halves round away
/// from zero. The error is the column of the largest magnitude, if F16 does not hold its scale.
fn round_to_q8_0(values: &[f64], out: &mut [u8]) -> Result<(), usize> {
    let largest = values.iter().fold(0f32, |m, v| m.max(nearest(*v).abs()));
    let d = largest / 127.0;
    let inverse = if d == 0.0 { 0.0 } else { 1.0 / d };
    let scale = f16::from_f32(d);
    if !scale.is_finite() {
        return Err(values.iter().position(|v| nearest(*v).abs() >= largest).unwrap_or_default());
    }
    out[..2].copy_from_slice(&scale.to_le_bytes());
    for (v, out) in values.iter().zip(&mut out[2..]) {
        #[expect(clippy::cast_possible_truncation, reason = "the largest magnitude is 127")]
        let n = (nearest(*v) * inverse).round() as i8;
        *out = n.cast_unsigned();
    }
    Ok(())
}

/// All values of an eight-bit format, converted through F16: E5M2 is the upper byte of an F16; E4M3 has an exponent
/// bias lower by eight.
pub(super) fn eight_bit_values(format: Fp8Format) -> [f64; 256] {
    std::array::from_fn(|code| {
        let code = u16::try_from(code).expect("there are 256 codes");
        match format {
            Fp8Format::E5M2 => f16::from_bits(code << 8).to_f64(),
            Fp8Format::E4M3 if code & 0x7F == 0x7F => f64::NAN,
            Fp8Format::E4M3 => f16::from_bits((code & 0x80) << 8 | (code & 0x7F) << 7).to_f64() * 256.0,
        }
    })
}

pub(super) fn value(raw: &[u8], dtype: Float, i: usize) -> f32 {
    match dtype {
        Float::F16 => f16::from_le_bytes([raw[2 * i], raw[2 * i + 1]]).to_f32(),
        Float::BF16 => bf16::from_le_bytes([raw[2 * i], raw[2 * i + 1]]).to_f32(),
        Float::F32 => f32::from_bits(word(raw, i)),
        Float::E8M0 => power_of_two(raw[i]),
    }
}

/// `2^(byte - 127)` by the bits of an F32; 255 is not a number.
fn power_of_two(byte: u8) -> f32 {
    match byte {
        0 => f32::from_bits(1 << 22),
        u8::MAX => f32::NAN,
        exponent => f32::from_bits(u32::from(exponent) << 23),
    }
}
