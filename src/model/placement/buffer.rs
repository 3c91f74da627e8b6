//! The work buffer of the CPU's kernels for weights in the layout of the file. ggml allocates it once, for the node that needs
//! most. The arithmetic is that of the patch (`mul-mat.cpp`).

use super::weights::Weight;
use crate::model::HParams;

/// Columns that are multiplied together.
const COLUMNS: u64 = 504;
/// Bytes of sums for each of them: 64 rows in F32.
const SUMS: u64 = 64 * 4;
/// Bytes of the unpacked weights: four panels of 16 rows and 256 columns, with their scales.
const PANELS: u64 = 4 * (16 * 256 + 8 * 16 * 4);

/// Bytes of the work buffer for these weights and a batch of `ubatch` tokens.
pub(super) fn work_buffer<'w>(
    weights: impl Iterator<Item = &'w Weight>,
    hparams: &HParams,
    threads: u64,
    ubatch: u64,
) -> u64 {
    let of = |weight: &Weight| {
        // The outputs of all chosen experts are the inputs of the last matrix.
        let is_down = weight.experts && weight.name.contains("_down_");
        let inputs = ubatch * if is_down { u64::from(hparams.experts_used) } else { 1 };
        let gathered = if weight.experts { packed(weight.columns, COLUMNS) } else { 0 };
        packed(weight.columns, inputs) + threads * (PANELS + SUMS * inputs.min(COLUMNS) + gathered)
    };
    weights.filter(|weight| weight.has_kernel).map(of).max().unwrap_or(0)
}

/// Bytes of packed activations: codes, and for each block of 32 a scale and an offset.
fn packed(values: u64, columns: u64) -> u64 {
    columns.saturating_mul(values / 32 * (32 + 4 + 4))
}
