//! `ggrun serve`: an HTTP server. It listens first, and loads the model then.

mod access;
mod args;
mod listening;
mod network;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ggrun::engine::PrefillBudget;
use ggrun::model::{ContextSize, LoadOptions, Model};
use ggrun::serve::{App, Card, Engine, Metrics, Phase, Settings};
use ggrun::session::{GenerationOptions, ReasoningMode};
use tokio::sync::watch;

pub(crate) use args::ServeArgs;
use listening::Listening;

use crate::cli::exit::Outcome;
use crate::cli::interrupt::Interrupt;
use crate::cli::options::checks;
use crate::cli::shared::fingerprint::fingerprint;
use crate::cli::shared::{open, slots, source};
use crate::cli::ui::when::When;
use crate::cli::ui::{err, text};

/// The context that each slot has at least, if memory allows more than one slot: a coding assistant's instructions alone
/// take about half of it.
const CONTEXT: u32 = 32_768;
/// How often a signal is looked for.
const POLL: Duration = Duration::from_millis(20);

pub(crate) fn run(args: &ServeArgs) -> anyhow::Result<Outcome> {
    args.model.named()?;
    let options = checks::generation(&args.generation, &args.escape)?;
    let template = args.template.source()?;
    let interrupt = Interrupt::listen();
    let listening = Listening::prepare(&args.network)?;
    let path = source::model(&args.model, When::Auto)?;
    let (phase, watched) = watch::channel(Phase::Loading { done: 0, total: 0 });
    let settings = Settings {
        names: names(args, &path),
        fingerprint: fingerprint(),
        tags: args.tags.clone().unwrap_or_default(),
        strict_model: args.strict_model,
        slots: !args.no_slots,
        metrics: args.metrics,
        limits: listening.limits(),
        queue: args.network.queue as usize,
        per_client: args.network.per_client.map(|limit| limit as usize),
    };
    let app = Arc::new(App::new(settings, watched, Arc::new(Metrics::new()?)));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let listening = listening.start(&runtime, &app, args.network.log_json)?;
    let progress = phase.clone();
    let on = move |loading: ggrun::model::Loading| {
        progress.send_replace(Phase::Loading { done: loading.done, total: loading.total });
    };
    let chosen = load_options(args, &path)?;
    let model = open::load(chosen, &interrupt, on)?;
    let running = model.spawn()?;
    let session = open::session(&model, template, running.submitter())?;
    // Without a switch, an empty block turns the reasoning off.
    if options.reasoning != Some(ReasoningMode::Off) {
        options.check_reasoning(session.template())?;
    }
    let defaults = options.over(&GenerationOptions::recommended(&model.sampling(0)));
    let card = card(&model, &path, running.caps().context, running.caps().sequences);
    let shown = format!(
        "serving {} on {}: {} of {} tokens",
        app.settings.name(),
        listening.addresses(),
        text::plural(card.slots.into(), "slot"),
        card.context
    );
    phase.send_replace(Phase::Ready(Arc::new(Engine {
        session,
        submitter: running.submitter(),
        defaults,
        card,
    })));
    err::note(&shown);
    interrupt.drain_after_signals(true);
    while !interrupt.is_raised() {
        std::thread::sleep(POLL);
    }
    phase.send_if_modified(|phase| match phase {
        Phase::Ready(engine) => {
            *phase = Phase::Draining(Arc::clone(engine));
            true
        }
        _ => false,
    });
    listening.drain(&runtime, &app, args.network.drain);
    interrupt.drain_after_signals(false);
    Ok(Outcome::Success)
}

/// The names of the model.
fn names(args: &ServeArgs, path: &Path) -> Vec<String> {
    let stem = || vec![path.file_stem().unwrap_or_default().to_string_lossy().into_owned()];
    args.alias.clone().filter(|names| !names.is_empty()).unwrap_or_else(stem)
}

/// The options to load with: as many slots as fit, if no number is set.
fn load_options(args: &ServeArgs, path: &Path) -> anyhow::Result<LoadOptions> {
    let placement = &args.placement;
    let options = |slots: u32| {
        let mut options = placement.options_with(path, slots);
        options.prefill_budget = PrefillBudget::default();
        if slots > 1 && options.context == ContextSize::Fit {
            options.context = ContextSize::UpTo(CONTEXT);
        }
        options
    };
    match placement.parallel {
        Some(slots) => Ok(options(slots)),
        None => slots::choose(path, CONTEXT, options),
    }
}

fn card(model: &Model, path: &Path, context: u32, slots: u32) -> Card {
    Card {
        file: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        context,
        trained_context: model.trained_context(),
        vocabulary: ggrun::engine::Vocab::size(&model.vocab()),
        parameters: model.parameters(),
        bytes: model.size(),
        slots,
    }
}
