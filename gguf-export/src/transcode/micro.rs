//! Converts MX and NV formats: four-bit floats by moving their bits, everything else by value.

use half::f16;

use super::blocks::{Group, half_scale};
use super::task::{Scratch, Task, at, nearest, read_rows};
use super::{blocks, float};
use crate::Result;
use crate::checkpoint::Checkpoint;
use crate::ggml::GgmlType;
use crate::plan::Form;
use crate::quant::{Element, Float, Fp8Format, Global, Micro, MicroScale};

/// Magnitudes of E2M1 by code.
const FP4: [f64; 8] = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0];

pub(super) fn transcode(task: &Task<'_>, micro: &Micro, scratch: &mut Scratch, out: &mut [u8]) -> Result<()> {
    let Scratch { codes, scales, values, .. } = scratch;
    let per_byte = if micro.element == Element::Fp8 { 1 } else { 2 };
    let groups = task.weight.columns.div_ceil(micro.group);
    read_rows(task, micro.codes, task.weight.columns / per_byte, codes)?;
    read_rows(task, micro.scales, groups, scales)?;
    check_scales(task, micro, scales, at(groups))?;
    let global = if task.form == Form::Unscaled { None } else { exact_factor(task.checkpoint, micro)? };
    let row_bytes = out.len() / task.count().max(1);
    let rows = codes.chunks_exact(at(task.weight.columns / per_byte)).zip(scales.chunks_exact(at(groups)));
    for (row, ((codes, scales), out)) in rows.zip(out.chunks_exact_mut(row_bytes)).enumerate() {
        match (task.ty, micro.element) {
            (GgmlType::MXFP4, Element::Fp4) => mxfp4(codes, scales, out),
            (GgmlType::NVFP4, Element::Fp4) => nvfp4(codes, scales, out),
            (GgmlType::Q4_0, Element::Int4) => {
                mxint4(codes, scales, out).map_err(|c| task.misfit(row, c, power(scales[c / 32])))?;
            }
            _ => {
                expand(micro, codes, scales, values);
                match global {
                    Some((factor, Operation::Multiply)) => values.iter_mut().for_each(|v| *v *= factor),
                    Some((factor, Operation::Divide)) => values.iter_mut().for_each(|v| *v /= factor),
                    None => {}
                }
                float::encode(task, row, values, out)?;
            }
        }
    }
    Ok(())
}

/// The tensor-wide scale as a factor; the reciprocal of a divisor is rounded to F32.
pub(super) fn factor(checkpoint: &Checkpoint, micro: &Micro) -> Result<Option<f64>> {
    let Some((f, operation)) = exact_factor(checkpoint, micro)? else { return Ok(None) };
    let factor = match operation {
        Operation::Multiply => f,
        Operation::Divide => f64::from(nearest(1.0 / f)),
    };
    match micro.global {
        Global::Divide(id) if !factor.is_finite() => Err(crate::Error::Tensor {
            at: checkpoint.locate(id),
            found: format!("it is {f:e}"),
            expected: "a divisor whose reciprocal fits F32".to_owned(),
        }),
        _ => Ok(Some(factor)),
    }
}

#[derive(Clone, Copy)]
enum Operation {
    Multiply,
    Divide,
}

fn exact_factor(checkpoint: &Checkpoint, micro: &Micro) -> Result<Option<(f64, Operation)>> {
    let (id, operation) = match micro.global {
        Global::None => return Ok(None),
        Global::Multiply(id) => (id, Operation::Multiply),
        Global::Divide(id) => (id, Operation::Divide),
    };
    let factor = float::scales(checkpoint, (id, Float::F32))?[0];
    if factor.is_finite() && factor != 0.0 {
        return Ok(Some((factor, operation)));
    }
    Err(crate::Error::Tensor {
        at: checkpoint.locate(id),
        found: format!("it is {factor}"),
        expected: "a finite nonzero number".to_owned(),
    })
}

/// Refuses scales that are NaN, and for NVFP4, whose scales have no sign, negative ones.
fn check_scales(task: &Task<'_>, micro: &Micro, scales: &[u8], groups: usize) -> Result<()> {
    let bad = |byte: u8| match micro.scale {
        MicroScale::E8M0 | MicroScale::E5M3 => byte == 255,
        MicroScale::E4M3 => byte & 0x7F == 0x7F,
    };
    if let Some(i) = scales.iter().position(|&b| bad(b)) {
        return Err(task.not_finite(micro.scales, i / groups, i % groups * at(micro.group)));
    }
    if task.ty == GgmlType::NVFP4
        && let Some(i) = scales.iter().position(|&b| b & 0x80 != 0)
    {
        return Err(task.misfit(i / groups, i % groups * at(micro.group), -1.0));
    }
    Ok(())
}

/// Encodes MXFP4: the exponent byte, then nibbles paired 16 apart instead of adjacent.
fn mxfp4(codes: &[u8], scales: &[u8], out: &mut [u8]) {
    for ((codes, &scale), out) in codes.chunks_exact(16).zip(scales).zip(out.chunks_exact_mut(17)) {
        out[0] = scale;
        pair_nibbles(codes, &mut out[1..]);
    }
}

/// Encodes NVFP4: four scale bytes, then for each 16 elements nibbles paired 8 apart.
fn nvfp4(codes: &[u8], scales: &[u8], out: &mut [u8]) {
    for ((codes, scales), out) in
        codes.chunks_exact(32).zip(scales.chunks_exact(4)).zip(out.chunks_exact_mut(36))
    {
        out[..4].copy_from_slice(scales);
        for (codes, out) in codes.chunks_exact(8).zip(out[4..].chunks_exact_mut(8)) {
            pair_nibbles(codes, out);
        }
    }
}

/// Byte `j` of the result gets elements `j` (low nibble) and `j + to.len()` (high nibble).
fn pair_nibbles(from: &[u8], to: &mut [u8]) {
    let nibble = |i: usize| from[i / 2] >> (4 * (i % 2)) & 15;
    let half = to.len();
    to.iter_mut().enumerate().for_each(|(j, byte)| *byte = nibble(j) | nibble(j + half) << 4);
}

/// Encodes MXINT4 as Q4_0: quarters times a power of two become integers times a quarter of it. The error is the first
/// column of a block whose scale does not fit F16.
fn mxint4(codes: &[u8], scales: &[u8], out: &mut [u8]) -> Result<(), usize> {
    let mut unsigned = [0u8; 32];
    let blocks = codes.chunks_exact(16).zip(scales).zip(out.chunks_exact_mut(18));
    for (block, ((codes, &scale), out)) in blocks.enumerate() {
        for (i, u) in unsigned.iter_mut().enumerate() {
            let nibble = codes[i / 2] >> (4 * (i % 2)) & 15;
            *u = if nibble & 8 == 0 { 8 + nibble } else { 16 - nibble };
        }
        let scale = nearest(power(scale) / 4.0);
        let exact = half_scale(scale, false).is_some() && scale != 0.0;
        let group = Group { codes: &unsigned, zero: 8, scale };
        exact.then(|| blocks::encode(GgmlType::Q4_0, &group, false, out)).flatten().ok_or(block * 32)?;
    }
    Ok(())
}

fn expand(micro: &Micro, codes: &[u8], scales: &[u8], values: &mut Vec<f64>) {
    let eight = float::eight_bit_values(Fp8Format::E4M3);
    let scale = |byte: u8| match micro.scale {
        MicroScale::E8M0 => power(byte),
        MicroScale::E4M3 => eight[usize::from(byte)],
        // An F16 without sign and without the lower seven mantissa bits.
        MicroScale::E5M3 => f16::from_bits(u16::from(byte) << 7).to_f64(),
    };
    let columns = if micro.element == Element::Fp8 { codes.len() } else { 2 * codes.len() };
    values.clear();
    values.extend((0..columns).map(|i| {
        let nibble = || codes[i / 2] >> (4 * (i % 2)) & 15;
        let element = match micro.element {
            Element::Fp8 => eight[usize::from(codes[i])],
            Element::Fp4 => sign(FP4[usize::from(nibble() & 7)], nibble()),
            Element::Int4 => sign(f64::from(nibble() & 7) / 4.0, nibble()),
        };
        element * scale(scales[i / at(micro.group)])
    }));
}

fn sign(magnitude: f64, nibble: u8) -> f64 {
    if nibble & 8 == 0 { magnitude } else { -magnitude }
}

/// `2^(byte - 127)`.
fn power(byte: u8) -> f64 {
    f64::from_bits((u64::from(byte) + 1023 - 127) << 52)
}
