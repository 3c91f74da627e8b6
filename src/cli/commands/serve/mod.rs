//! `ggrun serve`: an HTTP server. It accepts connections before the model is downloaded and loaded.

mod access;
mod args;
mod listening;
mod model;
mod network;
mod states;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ggrun::hub::Event;
use ggrun::model::{LoadOptions, check_with};
use ggrun::openai::ModelFacts;
use ggrun::serve::{App, Card, Metrics, Page, Phase, Settings};
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

/// The time for saving states after the last connection is closed. With [`Limits::ending`](ggrun::serve::limits::Limits),
/// a server ends within two seconds after the time to drain.
const SAVING: Duration = Duration::from_secs(1);

pub(crate) fn run(args: &ServeArgs) -> anyhow::Result<Outcome> {
    // What can be refused is refused before anything is downloaded or loaded.
    let options = checks::generation(&args.generation, &args.escape)?;
    let template = args.template.source()?;
    let local = source::local(&args.model)?;
    if let Some(path) = local {
        let LoadOptions { metadata, tensor_check, .. } = args.placement.options_with(path, 1);
        check_with(path, &metadata, tensor_check)?;
    }
    args.disk.check()?;
    let page = args.page()?;
    let interrupt = Interrupt::listen();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let listening = Listening::begin(&args.network, page.clone(), &runtime)?;
    let (phase, watched) = watch::channel(match local {
        Some(_) => Phase::Loading { done: 0, total: 0 },
        None => Phase::Downloading { done: 0, total: 0 },
    });
    let settings = settings(args, page, &listening)?;
    if settings.isolate_keys && !listening.has_keys() {
        err::warning("`--isolate-keys` has no effect without an API key");
    }
    let app = Arc::new(App::new(settings, watched, Arc::new(Metrics::new()?)));
    let listening = listening.serve(&runtime, &app);
    err::note(&format!("listening on {}", listening.addresses()));
    if let Some(note) = listening.page().filter(|_| app.settings.page.is_some()) {
        err::note(&note);
    }
    let path = source::observed_model(&args.model, When::Auto, &|event| follow(&phase, &event))?;
    phase.send_replace(Phase::Loading { done: 0, total: 0 });
    let setup = Setup { args, path: &path, template, options, interrupt: &interrupt, phase };
    let mut loaded = setup.load()?;
    announce(&loaded, &app.settings, &path);
    err::note(&args.disk.describe(loaded.engine.states.as_ref()));
    err::note(&listening.example());
    interrupt.drain_after_signals(true);
    while !interrupt.is_raised() {
        if let Some(error) = loaded.engine.ended() {
            // Nothing drains while a model is loaded.
            interrupt.drain_after_signals(false);
            loaded = setup.recover(loaded, error)?;
            interrupt.drain_after_signals(true);
        }
        std::thread::sleep(POLL);
    }
    let (begun, drain) = (Instant::now(), args.network.drain);
    let running = loaded.engine.running();
    if running > 0 && !drain.is_zero() {
        let (requests, most) = (text::plural(running as u64, "request"), drain.as_secs());
        err::note(&format!(
            "shutting down: {requests} may take up to {most} s; press Ctrl-C again to stop now"
        ));
    }
    listening.drain(&runtime, &app, drain);
    let left = (drain + app.settings.limits.ending + SAVING).saturating_sub(begun.elapsed());
    if loaded.engine.states.as_ref().is_some_and(|states| states.drain(left).is_none()) {
        err::warning("not all states could be saved in time");
    }
    interrupt.drain_after_signals(false);
    Ok(Outcome::Success)
}

/// What is served, with how many slots.
fn announce(loaded: &Loaded, settings: &Settings, path: &Path) {
    let Card { slots, facts: ModelFacts { context, .. }, .. } = loaded.engine.card;
    let name = settings.name();
    err::note(&format!("serving `{}` as {name}: {}", path.display(), loaded.placement));
    let each = if slots == 1 { "" } else { " each" };
    err::note(&format!(
        "{} of {} tokens{each}",
        text::plural(slots.into(), "slot"),
        text::count(context.into())
    ));
    if let Some(folder) = settings.sessions.folder() {
        err::note(&format!("conversations at /api/conversations are stored in `{}`", folder.display()));
    }
}

fn settings(args: &ServeArgs, page: Option<Page>, listening: &Listening<'_>) -> anyhow::Result<Settings> {
    Ok(Settings {
        names: names(args)?,
        fingerprint: fingerprint(),
        tags: args.tags.clone().unwrap_or_default(),
        strict_model: args.strict_model,
        slots: !args.no_slots,
        metrics: args.metrics,
        page,
        verbose: tracing::enabled!(tracing::Level::INFO),
        limits: listening.limits(),
        queue: args.network.queue as usize,
        per_client: args.network.per_client.map(|limit| limit as usize),
        isolate_keys: args.disk.isolate_keys,
        sessions: args.disk.sessions(listening.has_keys(), listening.is_remote()),
    })
}

/// The names of the model.
fn names(args: &ServeArgs) -> anyhow::Result<Vec<String>> {
    match &args.alias {
        Some(names) if !names.is_empty() => Ok(names.clone()),
        _ => Ok(vec![source::name(&args.model)?]),
    }
}

/// Takes an event of the download into account.
fn follow(phase: &watch::Sender<Phase>, event: &Event<'_>) {
    phase.send_modify(|phase| {
        let Phase::Downloading { done, total } = phase else { return };
        match event {
            Event::Planned { bytes, present, .. } => (*done, *total) = (*present, bytes + present),
            Event::Received { bytes, .. } => *done += bytes,
            Event::Discarded { bytes, .. } => *done = done.saturating_sub(*bytes),
            _ => {}
        }
    });
}
