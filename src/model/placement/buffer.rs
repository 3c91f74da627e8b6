//! The work buffer of the CPU's kernels for weights in the layout of the file. ggml allocates it once, for the node that needs
//! most. The arithmetic is that of the patch (`mul-mat.cpp`).

use super::weights::Weight;
use crate::model::HParams;

/// Columns that are multiplied together.
const COLUMNS: u64 = 504;
/// Bytes of sums for each of them: 64 rows in F32.
const SUMS: u64 = 64 * 4;
/// Bytes of the unpacked weights: four panels of 16 rows and 256 columns as 16-bit codes, with two scales for each block of
/// 32. The patch allows for its largest form of them.
const PANELS: u64 = 4 * (16 * 256 * 2 + 8 * 16 * 4 * 2);
/// Bytes that name an input and its expert.
const PAIR: u64 = 8;

/// Bytes of the work buffer for these weights and a batch of `ubatch` tokens.
pub(super) fn work_buffer<'w>(
    weights: impl Iterator<Item = &'w Weight>,
    hparams: &HParams,
    threads: u64,
    ubatch: u64,
) -> u64 {
    let pairs = ubatch * u64::from(hparams.experts_used);
    let of = |weight: &Weight| {
        // The outputs of all chosen experts are the inputs of the last matrix. Inputs are gathered for each expert.
        let (inputs, gathered) = match weight.experts {
            true if weight.name.contains("_down_") => (pairs, pairs.min(COLUMNS)),
            true => (ubatch, pairs.min(COLUMNS)),
            false => (ubatch, 0),
        };
        let sums = SUMS * if weight.experts { gathered } else { ubatch.min(COLUMNS) };
        let thread = packed(weight.columns, gathered).saturating_add(PANELS + sums);
        let shared =
            packed(weight.columns, inputs).saturating_add(PAIR * if weight.experts { pairs } else { 0 });
        shared.saturating_add(thread.saturating_mul(threads))
    };
    weights.filter(|weight| weight.has_kernel).map(of).max().unwrap_or(0)
}

/// Bytes of packed activations: 16-bit codes, and for each block of 32 a scale.
fn packed(values: u64, columns: u64) -> u64 {
    columns.saturating_mul(values / 32 * (32 * 2 + 4))
}
