//! The model of `ggrun serve`: loaded behind an open port, and again after a worker was lost.

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use ggrun::engine::{self, DecodeError, PrefillBudget, Vocab as _};
use ggrun::model::rpc::{Endpoint, greet};
use ggrun::model::{ContextSize, LoadOptions, Loading, Model, Running};
use ggrun::openai::ModelFacts;
use ggrun::serve::{Card, Engine, Failure, Phase};
use ggrun::session::GenerationOptions;
use tokio::sync::watch;

use super::args::ServeArgs;
use crate::cli::error::Interrupted;
use crate::cli::interrupt::Interrupt;
use crate::cli::shared::{open, slots};
use crate::cli::ui::err;

/// The context that each slot has at least, if memory allows more than one slot: a coding assistant's instructions alone
/// take about half of it.
const CONTEXT: u32 = 32_768;
/// How often a lost worker is looked for.
const RETRY: Duration = Duration::from_secs(1);
/// How often a signal is looked for.
pub(super) const POLL: Duration = Duration::from_millis(20);

/// What a model is loaded with.
#[derive(Debug)]
pub(super) struct Setup<'a> {
    pub(super) args: &'a ServeArgs,
    pub(super) path: &'a Path,
    pub(super) template: Option<String>,
    /// The options of the command line.
    pub(super) options: GenerationOptions,
    pub(super) interrupt: &'a Interrupt,
    /// Follows the model.
    pub(super) phase: watch::Sender<Phase>,
}

/// A model that answers. Dropping it ends its engine.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) engine: Arc<Engine>,
    /// Where the model is placed, for the user.
    pub(super) placement: String,
    _running: Running,
}

impl Setup<'_> {
    /// Loads the model and starts its engine.
    ///
    /// # Errors
    ///
    /// When it cannot be loaded or run, or the user interrupts.
    pub(super) fn load(&self) -> anyhow::Result<Loaded> {
        let progress = self.phase.clone();
        let on = move |Loading { done, total }| {
            progress.send_replace(Phase::Loading { done, total });
        };
        let model = open::load(self.load_options()?, self.interrupt, on)?;
        let states = self.args.disk.states(&model)?;
        let running = match &states {
            Some(states) => model.spawn_with(states.on_eviction())?,
            None => model.spawn()?,
        };
        let mut session = open::session(&model, self.template.clone(), running.submitter())?;
        if let Some(states) = &states {
            states.connect(session.clone(), running.caps());
            session = session.with_hooks(states.hooks());
        }
        self.options.check_reasoning(session.template())?;
        let defaults = self.options.clone().over(&GenerationOptions::recommended(&model.sampling(0)));
        let card = self.card(&model, &running);
        let engine = Arc::new(Engine { session, defaults, card, states, failure: Failure::default() });
        self.phase.send_replace(Phase::Ready(Arc::clone(&engine)));
        Ok(Loaded { engine, placement: model.placement().reason.clone(), _running: running })
    }

    /// After an error that the engine does not survive: loads the model again once a lost worker is back. After another
    /// error, every request is refused until the user ends the server.
    ///
    /// # Errors
    ///
    /// When the user interrupts, or the model cannot be loaded.
    pub(super) fn recover(&self, loaded: Loaded, error: engine::Error) -> anyhow::Result<Loaded> {
        let lost = match &error {
            engine::Error::Decode(DecodeError::WorkerLost { endpoint }) => endpoint.parse::<Endpoint>().ok(),
            _ => None,
        };
        let Some(endpoint) = lost else {
            self.phase.send_replace(Phase::Failed(error.to_string()));
            let error = anyhow::Error::from(error);
            err::chain(&error, Some("restart the server; requests are refused until then"));
            while self.pause(POLL).is_ok() {}
            drop(loaded);
            return Err(Interrupted.into());
        };
        err::warning(&format!(
            "lost the connection to the worker at `{endpoint}`; the model is loaded again once it is back"
        ));
        self.phase.send_replace(Phase::Loading { done: 0, total: 0 });
        drop(loaded);
        loop {
            while greet(&endpoint).is_err() {
                self.pause(RETRY)?;
            }
            match self.load() {
                Ok(loaded) => {
                    err::note(&format!("the worker at `{endpoint}` is back"));
                    return Ok(loaded);
                }
                // It was lost again meanwhile.
                Err(_) if greet(&endpoint).is_err() && !self.interrupt.is_raised() => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn pause(&self, time: Duration) -> Result<(), Interrupted> {
        let mut left = time;
        while !self.interrupt.is_raised() {
            let Some(rest) = left.checked_sub(POLL) else { return Ok(()) };
            thread::sleep(POLL);
            left = rest;
        }
        Err(Interrupted)
    }

    /// The options to load with: as many slots as fit, if no number is set.
    fn load_options(&self) -> anyhow::Result<LoadOptions> {
        let placement = &self.args.placement;
        let options = |slots: u32| {
            let mut options = placement.options_with(self.path, slots);
            options.prefill_budget = PrefillBudget::default();
            if slots > 1 && options.context == ContextSize::Fit {
                options.context = ContextSize::UpTo(CONTEXT);
            }
            options
        };
        match placement.parallel {
            Some(slots) => Ok(options(slots)),
            None => slots::choose(self.path, CONTEXT, options),
        }
    }

    fn card(&self, model: &Model, running: &Running) -> Card {
        let facts = ModelFacts {
            context: running.caps().context,
            trained_context: model.trained_context(),
            vocabulary: model.vocab().size(),
            parameters: model.parameters(),
            size: model.size(),
        };
        let file = self.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Card { file, facts, slots: running.caps().sequences }
    }
}
