//! Chooses between the layout of the file and a repacked one for the weights on the CPU.
//!
//! llama.cpp repacks all types that it can or none. The rule: weights stay as they are, unless the types that have no kernel
//! for the layout of the file and can be repacked hold more of the bytes that a token reads than the types that have one.
//! Where a type has both, the kernel is taken: the file need not be copied, and prompts are read much faster. `ggrun plan`
//! measures both ways, and `benches/record` has them for whole models. Without kernels, weights are repacked.

use super::cost::Model;
use super::weights::Weight;

/// Whether the weights are computed in the layout of the file.
pub(super) fn computes_in_place(model: Model<'_>) -> bool {
    let read = |which: fn(&Weight) -> bool| -> u64 {
        let weights = model.weights.iter().filter(|weight| which(weight));
        weights.map(|weight| weight.bytes_per_token(model.hparams)).sum()
    };
    let only_repacked = read(|weight| weight.repackable && !weight.has_kernel);
    model.machine.kernels.is_some() && only_repacked <= read(|weight| weight.has_kernel)
}
