//! Decoded rows, and reading of plain numbers.

use std::ops::Range;

use crate::Result;
use crate::checkpoint::{Checkpoint, TensorId};
use crate::quant::Float;

/// Decoded rows of a weight.
#[derive(Debug, Default)]
pub struct Decoded {
    /// Row-major values; exact, except where the format itself rounds.
    pub values: Vec<f64>,
    /// The scale of each value if values are integers times a scale, otherwise empty.
    pub scales: Vec<f32>,
}

/// Converts an index. A value that does not fit `usize` becomes `usize::MAX`, which is out of bounds everywhere.
pub(super) fn at(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

#[expect(clippy::cast_possible_truncation, reason = "rounding to F32 is the purpose")]
pub(super) fn nearest(x: f64) -> f32 {
    x as f32
}

pub(super) fn read_rows(
    checkpoint: &Checkpoint,
    id: TensorId,
    row_bytes: u64,
    rows: &Range<u64>,
) -> Result<Vec<u8>> {
    let mut bytes = vec![0; at((rows.end - rows.start) * row_bytes)];
    checkpoint.read(id, rows.start * row_bytes, &mut bytes)?;
    Ok(bytes)
}

pub(super) fn read_all(checkpoint: &Checkpoint, id: TensorId) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    checkpoint.read_all(id, &mut bytes)?;
    Ok(bytes)
}

pub(super) fn floats(bytes: &[u8], dtype: Float) -> Vec<f64> {
    let pairs = || bytes.chunks_exact(2).map(|b| u16::from_le_bytes([b[0], b[1]]));
    match dtype {
        Float::F16 => pairs().map(|b| half::f16::from_bits(b).to_f64()).collect(),
        Float::BF16 => pairs().map(|b| half::bf16::from_bits(b).to_f64()).collect(),
        Float::F32 => {
            bytes.chunks_exact(4).map(|b| f64::from(f32::from_le_bytes([b[0], b[1], b[2], b[3]]))).collect()
        }
        Float::E8M0 => bytes
            .iter()
            .map(|&b| if b == u8::MAX { f64::NAN } else { 2f64.powi(i32::from(b) - 127) })
            .collect(),
    }
}
