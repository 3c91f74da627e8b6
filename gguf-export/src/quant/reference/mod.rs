//! The reference decoder: what a stored weight means, one element at a time, straight from the formats'
//! definitions. `verify` holds a GGUF against it. It shares nothing with the transcoder's kernels.

mod affine;
mod float;
mod int;

use std::ops::Range;

use super::{Coding, Float, Weight};
use crate::Result;
use crate::checkpoint::{Checkpoint, TensorId};

/// Some rows of a weight.
#[derive(Debug, Default)]
pub struct Decoded {
    /// Row-major values, exact wherever the format's definition has an exact value.
    pub values: Vec<f64>,
    /// The scale of each value, where values are integers times a scale; else empty.
    pub scales: Vec<f32>,
}

/// Decodes `rows` of a weight.
///
/// # Errors
/// [`crate::Error::Io`] if the data cannot be read, [`crate::Error::Tensor`] if it contradicts its format.
pub fn decode(checkpoint: &Checkpoint, weight: &Weight, rows: Range<u64>) -> Result<Decoded> {
    match &weight.coding {
        Coding::Plain { values, dtype } => {
            let bytes = read_rows(checkpoint, *values, weight.columns * dtype.bytes(), &rows)?;
            Ok(Decoded { values: floats(&bytes, *dtype), scales: Vec::new() })
        }
        Coding::Int(coding) => int::decode(checkpoint, weight, coding, rows),
        Coding::Affine(coding) => affine::decode(checkpoint, weight, coding, rows),
        Coding::Fp8(coding) => float::fp8(checkpoint, weight, coding, rows),
        Coding::Micro(coding) => float::micro(checkpoint, weight, coding, rows),
    }
}

/// The same without the factor of a whole tensor, which a GGUF may keep apart; see [`global_factor`].
///
/// # Errors
/// As [`decode`].
pub fn decode_unscaled(checkpoint: &Checkpoint, weight: &Weight, rows: Range<u64>) -> Result<Decoded> {
    match &weight.coding {
        Coding::Fp8(coding) => float::fp8_elements(checkpoint, weight, coding, &rows),
        _ => decode(checkpoint, weight, rows),
    }
}

/// The factor of a whole microscaled tensor as the GGUF stores it: a multiplier in F32.
///
/// # Errors
/// [`crate::Error::Io`] if it cannot be read.
pub fn global_factor(checkpoint: &Checkpoint, weight: &Weight) -> Result<Option<f32>> {
    match &weight.coding {
        Coding::Micro(micro) => float::factor(checkpoint, micro.global),
        Coding::Fp8(fp8) => {
            Ok(floats(&read_all(checkpoint, fp8.scale.0)?, fp8.scale.1).first().map(|&s| nearest(s)))
        }
        Coding::Plain { .. } | Coding::Int(_) | Coding::Affine(_) => Ok(None),
    }
}

/// An index. What does not fit is no index of anything in memory, and is refused as such.
fn at(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

#[expect(clippy::cast_possible_truncation, reason = "F32 is what is asked for")]
fn nearest(x: f64) -> f32 {
    x as f32
}

fn read_rows(checkpoint: &Checkpoint, id: TensorId, row_bytes: u64, rows: &Range<u64>) -> Result<Vec<u8>> {
    let mut bytes = vec![0; at((rows.end - rows.start) * row_bytes)];
    checkpoint.read(id, rows.start * row_bytes, &mut bytes)?;
    Ok(bytes)
}

fn read_all(checkpoint: &Checkpoint, id: TensorId) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    checkpoint.read_all(id, &mut bytes)?;
    Ok(bytes)
}

fn floats(bytes: &[u8], dtype: Float) -> Vec<f64> {
    let pairs = || bytes.chunks_exact(2).map(|b| u16::from_le_bytes([b[0], b[1]]));
    match dtype {
        Float::F16 => pairs().map(|b| half::f16::from_bits(b).to_f64()).collect(),
        Float::BF16 => pairs().map(|b| half::bf16::from_bits(b).to_f64()).collect(),
        Float::F32 => {
            bytes.chunks_exact(4).map(|b| f64::from(f32::from_le_bytes([b[0], b[1], b[2], b[3]]))).collect()
        }
    }
}
