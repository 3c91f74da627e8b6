//! The kernels one element at a time, by the definition of the formats: the reference for tests and benchmarks.

use super::{BadScale, Strip};

/// See [`super::gptq4_to_q4_0`].
///
/// # Errors
/// [`BadScale`] if a scale is NaN or infinite.
pub fn gptq4_to_q4_0(strip: &Strip<'_>, out: &mut [u8]) -> Result<(), BadScale> {
    out.fill(0);
    each(strip, 4, |output, column, code| {
        let row = strip.columns / 32 * 18;
        let place = output * row + column / 32 * 18 + 2 + column % 16;
        out[place] |= code << if column % 32 < 16 { 0 } else { 4 };
    });
    each_scale(strip, 18, out)
}

/// See [`super::gptq8_to_q8_0`].
///
/// # Errors
/// [`BadScale`] if a scale is NaN or infinite.
pub fn gptq8_to_q8_0(strip: &Strip<'_>, out: &mut [u8]) -> Result<(), BadScale> {
    each(strip, 8, |output, column, code| {
        let row = strip.columns / 32 * 34;
        out[output * row + column / 32 * 34 + 2 + column % 32] = code.wrapping_sub(128);
    });
    each_scale(strip, 34, out)
}

fn each(strip: &Strip<'_>, bits: usize, mut f: impl FnMut(usize, usize, u8)) {
    for output in 0..strip.outputs {
        for column in 0..strip.columns {
            let bit = column * bits;
            let byte = strip.words[(bit / 32 * strip.outputs + output) * 4 + bit % 32 / 8];
            f(output, column, byte >> (bit % 8) & u8::MAX >> (8 - bits));
        }
    }
}

fn each_scale(strip: &Strip<'_>, block_bytes: usize, out: &mut [u8]) -> Result<(), BadScale> {
    for block in 0..strip.columns / 32 {
        for output in 0..strip.outputs {
            let group = block * 32 / strip.group;
            let from = (group * strip.outputs + output) * 2;
            let scale = [strip.scales[from], strip.scales[from + 1]];
            if !half::f16::from_le_bytes(scale).is_finite() {
                return Err(BadScale { output, group });
            }
            let place = (output * (strip.columns / 32) + block) * block_bytes;
            out[place..place + 2].copy_from_slice(&scale);
        }
    }
    Ok(())
}
