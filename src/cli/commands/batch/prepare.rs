//! Preparations of a batch: a first look at its rows, and their defaults.

use std::path::Path;

use ggrun::batch::{self, Survey};
use ggrun::chat::Template;
use ggrun::model::Model;
use ggrun::session::GenerationOptions;

use crate::cli::error::Interrupted;
use crate::cli::interrupt::Interrupt;

/// Counts rows and estimates their lengths, if the input can be read twice. This does not need the model's
/// recommendations.
pub(super) fn first_look(
    options: &GenerationOptions,
    input: &Path,
    interrupt: &Interrupt,
) -> anyhow::Result<Option<Survey>> {
    let is_file = std::fs::metadata(input).is_ok_and(|found| found.is_file());
    if !is_file {
        return Ok(None);
    }
    let survey = batch::survey(batch::open(input)?, input, options, &|| !interrupt.is_raised())?;
    if interrupt.is_raised() { Err(Interrupted.into()) } else { Ok(Some(survey)) }
}

/// The options of the command line, over the sampling that the model recommends.
pub(super) fn defaults(
    options: GenerationOptions,
    model: &Model,
    template: &Template,
) -> anyhow::Result<GenerationOptions> {
    options.check_reasoning(template)?;
    Ok(options.over(&GenerationOptions::recommended(&model.sampling(0))))
}
