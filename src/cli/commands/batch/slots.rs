//! The number of slots if none is set: as many as fit with a context for the longest row.

use std::path::Path;

use ggrun::batch::Survey;
use ggrun::engine::PrefillBudget;
use ggrun::model::{ContextSize, HParams, LoadOptions, Machine, check_with, place};

use super::args::BatchArgs;

/// The maximum number of slots on a CPU: a few keep its cores busy.
const ON_CPU: u32 = 4;
/// The maximum number of slots if every layer is on a GPU.
const ON_GPU: u32 = 8;

/// The options to load with. The context grows for a row that is longer than the default.
///
/// # Errors
///
/// When the file is not a model, or an option cannot be met.
pub(super) fn choose(args: &BatchArgs, model: &Path, survey: Option<&Survey>) -> anyhow::Result<LoadOptions> {
    let placement = &args.placement;
    let longest = survey.map_or(0, |survey| u32::try_from(survey.longest).unwrap_or(u32::MAX));
    let options = |slots: u32| {
        let mut options = placement.options_with(model, slots);
        // Throughput counts here: no client waits for the next token.
        options.prefill_budget = PrefillBudget::Unlimited;
        if options.context == ContextSize::Fit {
            options.context = ContextSize::UpTo(ContextSize::USUAL.max(longest));
        }
        options
    };
    if args.deterministic {
        return Ok(options(1).deterministic());
    }
    if let Some(slots) = placement.parallel {
        return Ok(options(slots));
    }
    let checked = options(1);
    let header = check_with(model, &checked.metadata, checked.tensor_check)?;
    let hparams = HParams::read(&header)?;
    let machine = Machine::with(&options(1).rpc)?;
    let needed = longest.min(hparams.trained_context);
    for slots in (2..=ON_GPU).rev() {
        let options = options(slots);
        let Ok(placed) = place(&header, &hparams, &machine, &options) else { continue };
        let on_gpu = placed.gpu_layers > hparams.layers;
        if placed.context >= needed && (on_gpu || slots <= ON_CPU) {
            return Ok(options);
        }
    }
    Ok(options(1))
}
