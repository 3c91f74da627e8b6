//! What is settled before the first row is answered: a first look at the rows, and their defaults.

use std::path::Path;

use ggrun::batch::{self, Survey};
use ggrun::engine::SamplingParams;
use ggrun::model::Model;
use ggrun::openai::Defaults;
use ggrun::session::ChatRequest;

use super::args::BatchArgs;
use crate::cli::error::Interrupted;
use crate::cli::interrupt::Interrupt;

/// Rows whose fields are looked at before there is a model have no advice on sampling; none of it matters then.
const UNADVISED: u32 = 0;

/// Counts rows and guesses their lengths, where the input can be read twice.
pub(super) fn first_look(
    args: &BatchArgs,
    input: &Path,
    interrupt: &Interrupt,
) -> anyhow::Result<Option<Survey>> {
    let is_file = std::fs::metadata(input).is_ok_and(|found| found.is_file());
    if !is_file {
        return Ok(None);
    }
    let mut defaults = Defaults::new(SamplingParams::neutral(UNADVISED));
    defaults.max_tokens = u32::try_from(args.predict).ok();
    let survey = batch::survey(batch::open(input)?, input, &defaults, &|| !interrupt.is_raised())?;
    if interrupt.is_raised() { Err(Interrupted.into()) } else { Ok(Some(survey)) }
}

/// What rows are answered with where they say nothing.
pub(super) fn defaults(
    args: &BatchArgs,
    model: &Model,
    template: &ggrun::chat::Template,
) -> anyhow::Result<Defaults> {
    let sampling = args.sampling.over(model.sampling(0))?;
    let mut request = ChatRequest::new(Vec::new(), sampling);
    args.template.apply(template, &mut request)?;
    let mut defaults = Defaults::new(request.sampling);
    defaults.max_tokens = u32::try_from(args.predict).ok();
    defaults.stop.clone_from(&args.reverse_prompt);
    defaults.tools = args.template.read_tools()?;
    defaults.variables = request.variables;
    defaults.reasoning_budget = u32::try_from(args.reasoning_budget).ok();
    if let Some(words) = &args.reasoning_budget_message {
        defaults.reasoning_budget_message.clone_from(words);
    }
    Ok(defaults)
}
