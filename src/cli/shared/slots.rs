//! The number of slots if none is set: as many as fit with the context that they need.

use std::path::Path;

use ggrun::model::{HParams, LoadOptions, Machine, check_with, place};

/// The maximum number of slots on a CPU: a few keep its cores busy.
const ON_CPU: u32 = 4;
/// The maximum number of slots if every layer is on a GPU.
const ON_GPU: u32 = 8;

/// As many slots as fit, each with a context of `needed` tokens, or of as many as the model was trained on. `options`
/// makes the options for a number of slots.
///
/// # Errors
///
/// When the file is not a model, or an option cannot be met.
pub(crate) fn choose(
    model: &Path,
    needed: u32,
    options: impl Fn(u32) -> LoadOptions,
) -> anyhow::Result<LoadOptions> {
    let one = options(1);
    let header = check_with(model, &one.metadata, one.tensor_check)?;
    let hparams = HParams::read(&header)?;
    let machine = Machine::with(&one.rpc)?;
    let needed = needed.min(hparams.trained_context);
    for slots in (2..=ON_GPU).rev() {
        let options = options(slots);
        let Ok(placed) = place(&header, &hparams, &machine, &options) else { continue };
        let on_gpu = placed.gpu_layers > hparams.layers;
        if placed.context >= needed && (on_gpu || slots <= ON_CPU) {
            return Ok(options);
        }
    }
    Ok(one)
}
