//! `ggrun serve`: an HTTP server. It listens first, and loads the model then.

mod access;
mod args;
mod listening;
mod model;
mod network;
mod states;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ggrun::openai::ModelFacts;
use ggrun::serve::{App, Card, Metrics, Phase, Settings};
use tokio::sync::watch;

pub(crate) use args::ServeArgs;
use listening::Listening;
use model::{Loaded, POLL, Setup};

use crate::cli::exit::Outcome;
use crate::cli::interrupt::Interrupt;
use crate::cli::options::checks;
use crate::cli::shared::fingerprint::fingerprint;
use crate::cli::shared::source;
use crate::cli::ui::when::When;
use crate::cli::ui::{err, text};

/// The time for saving states after the last request may have ended.
const SAVING: Duration = Duration::from_secs(1);

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
        page: !args.no_ui,
        verbose: tracing::enabled!(tracing::Level::INFO),
        limits: listening.limits(),
        queue: args.network.queue as usize,
        per_client: args.network.per_client.map(|limit| limit as usize),
        isolate_keys: args.disk.isolate_keys,
        sessions: args.disk.sessions(listening.has_keys(), args.network.is_local()),
    };
    let app = Arc::new(App::new(settings, watched, Arc::new(Metrics::new()?)));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let listening = listening.start(&runtime, &app, args.network.log_json)?;
    err::note(&format!("listening on {}", listening.addresses()));
    let setup = Setup { args, path: &path, template, options, interrupt: &interrupt, phase };
    let mut loaded = setup.load()?;
    announce(&loaded, app.settings.name(), &path);
    err::note(&args.disk.describe(loaded.engine.states.as_ref()));
    err::note(&listening.example());
    interrupt.drain_after_signals(true);
    let mut trouble = app.trouble();
    while !interrupt.is_raised() {
        let error = match trouble.has_changed() {
            Ok(true) => trouble.borrow_and_update().clone(),
            _ => None,
        };
        if let Some(error) = error {
            loaded = setup.recover(loaded, error)?;
            // Other requests on the lost engine failed as well.
            trouble.mark_unchanged();
        }
        std::thread::sleep(POLL);
    }
    setup.phase.send_if_modified(|phase| match phase {
        Phase::Ready(engine) => {
            *phase = Phase::Draining(Arc::clone(engine));
            true
        }
        _ => false,
    });
    let begun = Instant::now();
    listening.drain(&runtime, &app, args.network.drain);
    let left = (args.network.drain + SAVING).saturating_sub(begun.elapsed());
    if loaded.engine.states.as_ref().is_some_and(|states| states.drain(left).is_none()) {
        err::note("warning: not all states could be saved in time");
    }
    interrupt.drain_after_signals(false);
    Ok(Outcome::Success)
}

/// What is served, with how many slots.
fn announce(loaded: &Loaded, name: &str, path: &Path) {
    let Card { slots, facts: ModelFacts { context, .. }, .. } = loaded.engine.card;
    err::note(&format!("serving `{}` as {name}: {}", path.display(), loaded.placement));
    let each = if slots == 1 { "" } else { " each" };
    err::note(&format!(
        "{} of {} tokens{each}",
        text::plural(slots.into(), "slot"),
        text::count(context.into())
    ));
}

/// The names of the model.
fn names(args: &ServeArgs, path: &Path) -> Vec<String> {
    let stem = || vec![path.file_stem().unwrap_or_default().to_string_lossy().into_owned()];
    args.alias.clone().filter(|names| !names.is_empty()).unwrap_or_else(stem)
}
