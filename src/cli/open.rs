//! The composition root: a file becomes a session.

use std::sync::Arc;

use anyhow::Context as _;
use ggrun::chat::Template;
use ggrun::model::{LoadOptions, Model, Running};
use ggrun::session::Session;

use super::interrupt::{Interrupt, Interrupted};

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
pub(crate) fn open(options: LoadOptions, interrupt: &Interrupt) -> anyhow::Result<Opened> {
    let heard = interrupt.clone();
    let model = match Model::load(options, move |_| !heard.is_raised()) {
        Err(_) if interrupt.is_raised() => return Err(Interrupted.into()),
        result => result?,
    };
    let source = model
        .chat_template()
        .with_context(|| format!("`{}` has no chat template", model.path().display()))?;
    let vocab = model.vocab();
    let template = Template::parse(&source, &vocab.begin(), &vocab.end())?;
    let running = model.spawn()?;
    let session = Session::new(running.submitter(), Arc::new(vocab), template);
    Ok(Opened { session, model, _running: running })
}
