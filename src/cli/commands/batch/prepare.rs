//! Preparations of a batch: its files, a first look at its rows, and their defaults.

use std::path::{Path, PathBuf};

use ggrun::batch::{self, Defaults, Format, Survey};
use ggrun::chat::Template;
use ggrun::engine::PrefillBudget;
use ggrun::model::{ContextSize, LoadOptions, Model};
use ggrun::session::GenerationOptions;

use super::args::BatchArgs;
use crate::cli::error::{Interrupted, NoOutput};
use crate::cli::interrupt::Interrupt;
use crate::cli::options::checks;
use crate::cli::shared::slots;

/// Counts rows and estimates their lengths, if the input can be read twice. This does not need the model's
/// recommendations.
pub(super) fn first_look(
    defaults: &Defaults,
    input: &Path,
    format: &Format,
    interrupt: &Interrupt,
) -> anyhow::Result<Option<Survey>> {
    let is_file = std::fs::metadata(input).is_ok_and(|found| found.is_file());
    if !is_file {
        return Ok(None);
    }
    let survey = batch::survey(batch::open(input, format)?, defaults, &|| !interrupt.is_raised())?;
    if interrupt.is_raised() { Err(Interrupted.into()) } else { Ok(Some(survey)) }
}

/// The file of answers if none is set: beside the input. A stream has none.
pub(super) fn default_output(input: &Path) -> Option<PathBuf> {
    let mut name = input.to_owned().into_os_string();
    name.push(".answers.jsonl");
    input.is_file().then(|| name.into())
}

/// Refuses files that cannot be written, before a model is loaded.
pub(super) fn check_files(args: &BatchArgs, input: &Path, output: Option<&Path>) -> anyhow::Result<()> {
    let on_stdout = output.is_some_and(|output| output.as_os_str() == "-");
    if !args.dry_run {
        let Some(output) = output else { return Err(NoOutput.into()) };
        anyhow::ensure!(!(args.json && on_stdout), "`--json` and `-o -` would both write to standard output");
        checks::output(output)?;
        args.errors.as_deref().map_or(Ok(()), checks::output)?;
    }
    let files = [("the input", Some(input)), ("`-o`", output), ("`--errors`", args.errors.as_deref())];
    for (index, (one, path)) in files.into_iter().enumerate() {
        for (other, second) in &files[index + 1..] {
            if let (Some(path), Some(second)) = (path, second) {
                checks::apart((one, path), (other, second))?;
            }
        }
    }
    Ok(())
}

/// The options of the command line, over the sampling that the model recommends.
pub(super) fn over_recommended(
    defaults: Defaults,
    model: &Model,
    template: &Template,
) -> anyhow::Result<Defaults> {
    defaults.options.check_reasoning(template)?;
    let options = defaults.options.over(&GenerationOptions::recommended(&model.sampling(0)));
    Ok(Defaults { options, ..defaults })
}

/// The options to load with. The context grows for a row that is longer than the default.
///
/// # Errors
///
/// When the file is not a model, or an option cannot be met.
pub(super) fn load_options(
    args: &BatchArgs,
    model: &Path,
    survey: Option<&Survey>,
) -> anyhow::Result<LoadOptions> {
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
    match placement.parallel {
        Some(slots) => Ok(options(slots)),
        None => slots::choose(model, longest, options),
    }
}
