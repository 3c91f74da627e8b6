//! Opens a model: from a file to a session.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, bail};
use ggrun::chat::Template;
use ggrun::engine::Submitter;
use ggrun::model::system::load_average;
use ggrun::model::{LoadError, LoadOptions, Loading, Model, Note, PlaceError, Running, machine_cores};
use ggrun::session::Session;

use crate::cli::error::{Interrupted, NoThread};
use crate::cli::interrupt::Interrupt;
use crate::cli::ui::wait::{Wait, Work};
use crate::cli::ui::{err, text};

/// A loaded model and its running engine. Dropping it ends the engine.
#[derive(Debug)]
pub(crate) struct Opened {
    /// Renders, submits and parses requests.
    pub(crate) session: Session,
    /// The model, for its metadata and sampling defaults.
    pub(crate) model: Model,
    /// Ends the engine when it is dropped.
    running: Running,
}

impl Opened {
    /// Tokens that a conversation can have.
    pub(crate) fn context(&self) -> u32 {
        self.running.caps().context
    }
}

/// Loads a model and starts its engine.
///
/// # Errors
///
/// When the model cannot be loaded or run, has no usable chat template, or the user interrupts.
pub(crate) fn open(
    options: LoadOptions,
    template: Option<String>,
    interrupt: &Interrupt,
) -> anyhow::Result<Opened> {
    let model = load(options, interrupt, |_| ())?;
    let running = model.spawn()?;
    let session = session(&model, template, running.submitter())?;
    Ok(Opened { session, model, running })
}

/// A session that renders prompts for a model, with its chat template or another, and submits them.
pub(crate) fn session(
    model: &Model,
    template: Option<String>,
    submitter: Submitter,
) -> anyhow::Result<Session> {
    let source = template
        .or_else(|| model.chat_template())
        .with_context(|| format!("`{}` has no chat template", model.path().display()))?;
    let vocab = model.vocab();
    let template = Template::parse(&source, &vocab.begin(), &vocab.end())?;
    Ok(Session::new(submitter, Arc::new(vocab), template))
}

/// Loads on a separate thread, so that an interrupt takes effect at once: llama.cpp checks for one only between tensors,
/// and not at all while it maps a file.
/// `on` is called with its progress.
pub(crate) fn load(
    options: LoadOptions,
    interrupt: &Interrupt,
    on: impl Fn(Loading) + Send + 'static,
) -> anyhow::Result<Model> {
    let (load_before, threads) = (load_average(Path::new("/")), options.threads);
    let shared = interrupt.clone();
    let wait = Arc::new(Wait::new(Work::Load));
    let (sender, loaded) = sync_channel(1);
    let bar = Arc::clone(&wait);
    let load = move || {
        let progress = |loading: Loading| {
            bar.set(loading.done, loading.total);
            on(loading);
            !shared.is_raised()
        };
        // The receiver is gone after an interrupt.
        drop(sender.send(Model::load(options, progress)));
    };
    thread::Builder::new().name("load".to_owned()).spawn(load).map_err(NoThread)?;
    let result = result(&loaded, interrupt);
    wait.end();
    if let (Ok(_), Some(text)) = (&result, load_before.and_then(|load| busy(load, machine_cores(), threads)))
    {
        // Scripts compare what is on standard error.
        if err::is_terminal() { err::note(&text) } else { tracing::info!("{text}") }
    }
    result
}

/// Waits for the result of loading.
fn result(loaded: &Receiver<Result<Model, LoadError>>, interrupt: &Interrupt) -> anyhow::Result<Model> {
    let mut patience = PATIENCE;
    loop {
        match loaded.recv_timeout(POLL) {
            Ok(Err(_)) if interrupt.is_raised() => return Err(Interrupted.into()),
            Ok(result) => {
                let model = result.inspect_err(|error| {
                    if let LoadError::Place(PlaceError::Memory(refused)) = error {
                        warn(&refused.notes);
                    }
                })?;
                warn(&model.placement().notes);
                return Ok(model);
            }
            Err(RecvTimeoutError::Disconnected) => bail!("loading ended without a result"),
            Err(RecvTimeoutError::Timeout) if interrupt.is_raised() => match patience.checked_sub(POLL) {
                Some(left) => patience = left,
                None => return Err(Interrupted.into()),
            },
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

/// Prints the notes about the options of a placement.
pub(crate) fn warn(notes: &[Note]) {
    for note in notes {
        err::warning(&note.to_string());
    }
}

/// The note for a machine on which more threads of other programs run than it has cores.
fn busy(load: f64, cores: u32, threads: u32) -> Option<String> {
    (load > f64::from(cores)).then(|| {
        format!(
            "the machine is busy (load {load:.1} on {}): {} for computing will be slow",
            text::plural(cores.into(), "core"),
            text::plural(threads.into(), "thread")
        )
    })
}

/// Interval at which the interrupt is checked.
const POLL: Duration = Duration::from_millis(20);
/// Time that an interrupted load has to end cleanly.
const PATIENCE: Duration = Duration::from_millis(300);

#[cfg(test)]
mod tests {
    use super::busy;

    #[test]
    fn a_load_above_the_cores_is_noted() {
        assert_eq!(busy(2.0, 2, 2), None);
        let note = busy(6.25, 2, 1).unwrap();
        assert_eq!(note, "the machine is busy (load 6.2 on 2 cores): 1 thread for computing will be slow");
    }
}
