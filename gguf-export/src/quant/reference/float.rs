//! Decodes FP8, MX and NV formats.

use std::ops::Range;

use super::rows::{Decoded, at, floats, nearest, read_all, read_rows};
use crate::Result;
use crate::checkpoint::Checkpoint;
use crate::quant::{Element, Float, Fp8, Fp8Format, Global, Micro, MicroScale, Weight};

pub(super) fn fp8(checkpoint: &Checkpoint, weight: &Weight, fp8: &Fp8, rows: Range<u64>) -> Result<Decoded> {
    let bytes = read_rows(checkpoint, fp8.codes, weight.columns, &rows)?;
    let scales = floats(&read_all(checkpoint, fp8.scale.0)?, fp8.scale.1);
    let across = weight.columns.div_ceil(fp8.block.1);
    let mut values = Vec::with_capacity(bytes.len());
    for (line, row) in bytes.chunks_exact(at(weight.columns)).zip(rows) {
        for (&byte, column) in line.iter().zip(0..) {
            let scale = scales[at(row / fp8.block.0 * across + column / fp8.block.1)];
            values.push(eight_bits(byte, fp8.format) * scale);
        }
    }
    Ok(Decoded { values, scales: Vec::new() })
}

/// The elements without their scales.
pub(super) fn fp8_elements(
    checkpoint: &Checkpoint,
    weight: &Weight,
    fp8: &Fp8,
    rows: &Range<u64>,
) -> Result<Decoded> {
    let bytes = read_rows(checkpoint, fp8.codes, weight.columns, rows)?;
    let values = bytes.iter().map(|&byte| eight_bits(byte, fp8.format)).collect();
    Ok(Decoded { values, scales: Vec::new() })
}

/// Elements times group scales, without the global scale; see [`factor`].
pub(super) fn micro(
    checkpoint: &Checkpoint,
    weight: &Weight,
    micro: &Micro,
    rows: Range<u64>,
) -> Result<Decoded> {
    let per_byte = if micro.element == Element::Fp8 { 1 } else { 2 };
    let bytes = read_rows(checkpoint, micro.codes, weight.columns / per_byte, &rows)?;
    let groups = weight.columns.div_ceil(micro.group);
    let scales = read_rows(checkpoint, micro.scales, groups, &rows)?;
    let mut values = Vec::new();
    for line in 0..(rows.end - rows.start) {
        for column in 0..weight.columns {
            let byte = bytes[at(line * (weight.columns / per_byte) + column / per_byte)];
            let nibble = if column % 2 == 0 { byte & 15 } else { byte >> 4 };
            let element = match micro.element {
                Element::Fp4 => fp4(nibble),
                Element::Int4 => signed(f64::from(nibble & 7) / 4.0, nibble & 8 != 0),
                Element::Fp8 => eight_bits(byte, Fp8Format::E4M3),
            };
            let scale = scales[at(line * groups + column / micro.group)];
            values.push(element * one_byte_scale(scale, micro.scale));
        }
    }
    Ok(Decoded { values, scales: Vec::new() })
}

pub(super) fn factor(checkpoint: &Checkpoint, global: Global) -> Result<Option<f32>> {
    let read = |id| Ok(floats(&read_all(checkpoint, id)?, Float::F32).first().copied());
    Ok(match global {
        Global::None => None,
        Global::Multiply(id) => read(id)?.map(nearest),
        Global::Divide(id) => read(id)?.map(|g| nearest(1.0 / g)),
    })
}

/// Decodes E2M1.
fn fp4(code: u8) -> f64 {
    let exponent = i32::from(code >> 1 & 3);
    let mantissa = f64::from(code & 1);
    let magnitude =
        if exponent == 0 { mantissa / 2.0 } else { (1.0 + mantissa / 2.0) * 2f64.powi(exponent - 1) };
    signed(magnitude, code & 8 != 0)
}

fn eight_bits(byte: u8, format: Fp8Format) -> f64 {
    let (exponent_bits, mantissa_bits, bias) = match format {
        Fp8Format::E4M3 => (4, 3, 7),
        Fp8Format::E5M2 => (5, 2, 15),
    };
    let mantissa = byte & ((1 << mantissa_bits) - 1);
    let exponent = i32::from(byte >> mantissa_bits & ((1 << exponent_bits) - 1));
    let fraction = f64::from(mantissa) / f64::from(1u8 << mantissa_bits);
    let magnitude = match (format, exponent) {
        (Fp8Format::E4M3, 15) if mantissa == 7 => f64::NAN,
        (Fp8Format::E5M2, 31) if mantissa == 0 => f64::INFINITY,
        (Fp8Format::E5M2, 31) => f64::NAN,
        (_, 0) => fraction * 2f64.powi(1 - bias),
        _ => (1.0 + fraction) * 2f64.powi(exponent - bias),
    };
    signed(magnitude, byte & 0x80 != 0)
}

fn one_byte_scale(byte: u8, kind: MicroScale) -> f64 {
    match kind {
        MicroScale::E8M0 | MicroScale::E5M3 if byte == 255 => f64::NAN,
        MicroScale::E8M0 => 2f64.powi(i32::from(byte) - 127),
        MicroScale::E4M3 => eight_bits(byte, Fp8Format::E4M3),
        MicroScale::E5M3 => {
            let (exponent, mantissa) = (i32::from(byte >> 3), f64::from(byte & 7));
            if exponent == 0 {
                mantissa * 2f64.powi(-17)
            } else {
                (1.0 + mantissa / 8.0) * 2f64.powi(exponent - 15)
            }
        }
    }
}

fn signed(magnitude: f64, negative: bool) -> f64 {
    if negative { -magnitude } else { magnitude }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "the values are exact")]
mod tests {
    use super::*;

    #[test]
    fn fp4_has_eight_magnitudes() {
        assert_eq!([0, 1, 2, 3, 4, 5, 6, 7].map(fp4), [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0]);
        assert_eq!(fp4(15), -6.0);
        assert!(fp4(8).is_sign_negative());
    }

    #[test]
    fn eight_bit_formats_decode_their_extremes() {
        assert_eq!(eight_bits(0x7E, Fp8Format::E4M3), 448.0);
        assert_eq!(eight_bits(0x01, Fp8Format::E4M3), 2f64.powi(-9));
        assert!(eight_bits(0xFF, Fp8Format::E4M3).is_nan());
        assert_eq!(eight_bits(0x7B, Fp8Format::E5M2), 57344.0);
        assert_eq!(one_byte_scale(0xFE, MicroScale::E5M3), 114_688.0);
        assert_eq!(one_byte_scale(0, MicroScale::E8M0), 2f64.powi(-127));
    }
}
