//! The composition root: a file becomes a session.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, bail};
use ggrun::chat::Template;
use ggrun::engine::Submitter;
use ggrun::model::{LoadOptions, Model, Running};
use ggrun::session::Session;

use crate::cli::error::Interrupted;
use crate::cli::interrupt::Interrupt;

/// A loaded model with an engine at work. Dropping it ends the engine.
#[derive(Debug)]
pub(crate) struct Opened {
    /// The way to answers.
    pub(crate) session: Session,
    /// The model, for its metadata and advice on sampling.
    pub(crate) model: Model,
    /// Kept for its end.
    _running: Running,
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
    let model = load(options, interrupt)?;
    let running = model.spawn()?;
    let session = session(&model, template, running.submitter())?;
    Ok(Opened { session, model, _running: running })
}

/// What turns conversations into prompts for a model, and hands them to whoever takes them.
/// A template of the caller takes the place of the model's.
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

/// Loads on a thread of its own, so that an interrupt is heard at once: llama.cpp asks whether to go on only between
/// tensors, and not at all while a file is mapped.
pub(crate) fn load(options: LoadOptions, interrupt: &Interrupt) -> anyhow::Result<Model> {
    let heard = interrupt.clone();
    let (sender, loaded) = sync_channel(1);
    let load = move || {
        // Whoever asked may have gone.
        drop(sender.send(Model::load(options, |_| !heard.is_raised())));
    };
    thread::Builder::new().name("load".to_owned()).spawn(load).context("cannot start a thread")?;
    let mut patience = PATIENCE;
    loop {
        match loaded.recv_timeout(POLL) {
            Ok(Err(_)) if interrupt.is_raised() => return Err(Interrupted.into()),
            Ok(result) => return Ok(result?),
            Err(RecvTimeoutError::Disconnected) => bail!("loading ended without a result"),
            Err(RecvTimeoutError::Timeout) if interrupt.is_raised() => match patience.checked_sub(POLL) {
                Some(left) => patience = left,
                None => return Err(Interrupted.into()),
            },
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

/// How often an interrupt is looked for.
const POLL: Duration = Duration::from_millis(20);
/// How long a load may take to end in order.
const PATIENCE: Duration = Duration::from_millis(300);
