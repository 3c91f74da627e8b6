//! What all requests share: settings, the phase of the server, the engine.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::sync::{Semaphore, watch};

use super::admission::Admission;
use super::drain::Drain;
use super::engine::Engine;
use super::error::HttpError;
use super::limits::Limits;
use super::metrics::Metrics;
use super::page::Page;
use super::receive::Bodies;
use super::refused::Refused;
use super::running::Answers;
use super::sessions::Sessions;
use crate::openai::{ApiError, ErrorCode};

/// Requests whose bodies are parsed, rendered and tokenized at once.
pub(super) const PREPARED_AT_ONCE: usize = 4;
/// Conversations that are read or written at once.
const STORED_AT_ONCE: usize = 4;
/// Searches of conversations that run at once. Each may read all of them.
const SEARCHED_AT_ONCE: usize = 1;
/// When a client may ask again while the model is downloaded or loaded, in seconds.
const RETRY_LOADING: u64 = 5;

/// What all requests share.
#[derive(Debug)]
pub struct App {
    /// The settings.
    pub settings: Settings,
    /// Seconds since 1970 at which the server started.
    pub started: u64,
    pub(super) phase: watch::Receiver<Phase>,
    /// Limits how many requests are prepared at once.
    pub(super) preparing: Arc<Semaphore>,
    /// Limits how many conversations are read or written at once: no answer waits for their disk and their locks.
    pub(super) storing: Arc<Semaphore>,
    /// Limits how many searches of conversations run at once.
    pub(super) searching: Arc<Semaphore>,
    /// The answers that are being written.
    pub(super) answers: Answers,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// Ends the server.
    pub drain: Drain,
    /// The open requests.
    pub(super) admission: Arc<Admission>,
    /// The memory of bodies.
    pub(super) bodies: Bodies,
}

/// Settings of a server.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of the command line")]
pub struct Settings {
    /// The names of the model: the first is written into answers, the others are accepted as well.
    pub names: Vec<String>,
    /// Tags of the model in lists, which have no effect.
    pub tags: Vec<String>,
    /// Refuses requests for a model of another name.
    pub strict_model: bool,
    /// Answers `/slots`.
    pub slots: bool,
    /// Answers `/metrics`.
    pub metrics: bool,
    /// The page, if there is one.
    pub page: Option<Page>,
    /// Adds the rendered prompt to every body, as `verbose` in a request does.
    pub verbose: bool,
    /// The versions of program and engine.
    pub fingerprint: String,
    /// Keeps the cached sequences of each key apart.
    pub isolate_keys: bool,
    /// Where conversations are kept.
    pub sessions: Sessions,
    /// Times and sizes of connections, requests and streams.
    pub limits: Arc<Limits>,
    /// Requests that may wait for a slot.
    pub queue: usize,
    /// Open requests of one client.
    pub per_client: Option<usize>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            names: vec!["model".to_owned()],
            tags: Vec::new(),
            strict_model: false,
            slots: true,
            metrics: false,
            page: Some(Page::BuiltIn),
            verbose: false,
            fingerprint: String::new(),
            isolate_keys: false,
            sessions: Sessions::default(),
            limits: Arc::default(),
            queue: 64,
            per_client: None,
        }
    }
}

impl Settings {
    /// The name that is written into answers.
    #[must_use]
    pub fn name(&self) -> &str {
        self.names.first().map_or("model", String::as_str)
    }
}

/// What the server is doing.
#[derive(Debug, Clone)]
pub enum Phase {
    /// It downloads the model.
    Downloading {
        /// Bytes that are here.
        done: u64,
        /// Bytes of the model; 0 if not known yet.
        total: u64,
    },
    /// It loads the model.
    Loading {
        /// Bytes that are loaded.
        done: u64,
        /// Bytes of the model; 0 if not known yet.
        total: u64,
    },
    /// It answers requests.
    Ready(Arc<Engine>),
    /// The engine has ended.
    Failed(String),
}

impl App {
    /// A server in the phase that `phase` has.
    #[must_use]
    pub fn new(settings: Settings, phase: watch::Receiver<Phase>, metrics: Arc<Metrics>) -> Self {
        let turns = |number| Arc::new(Semaphore::new(number));
        let drain = Drain::default();
        let admission = Admission::new(settings.queue, settings.per_client, drain.stage());
        let bodies = Bodies::new(&settings.limits);
        let answers = Answers::default();
        Self {
            settings,
            started: now(),
            phase,
            preparing: turns(PREPARED_AT_ONCE),
            storing: turns(STORED_AT_ONCE),
            searching: turns(SEARCHED_AT_ONCE),
            answers,
            metrics,
            drain,
            admission,
            bodies,
        }
    }

    /// The engine, to answer a new request.
    ///
    /// # Errors
    ///
    /// When the model is being downloaded or loaded, the server is about to end, or the engine has ended.
    pub(super) fn engine(&self) -> Result<Arc<Engine>, HttpError> {
        match &*self.phase.borrow() {
            Phase::Ready(_) if self.drain.has_begun() => Err(Refused::Draining.into()),
            Phase::Ready(engine) => Ok(Arc::clone(engine)),
            Phase::Downloading { .. } => Err(not_yet("the model is being downloaded")),
            Phase::Loading { .. } => Err(not_yet("the model is being loaded")),
            Phase::Failed(reason) => Err(ApiError::new(ErrorCode::Engine, reason.clone()).into()),
        }
    }

    /// Seconds since 1970.
    pub(super) fn now(&self) -> u64 {
        now().max(self.started)
    }

    /// Checks the name of a model in a request.
    ///
    /// # Errors
    ///
    /// When it is another model, and names are strict.
    pub(super) fn check_model(&self, name: Option<&str>) -> Result<(), ApiError> {
        let Settings { names, strict_model, .. } = &self.settings;
        match name {
            Some(name) if *strict_model && !names.iter().any(|known| known == name) => {
                let message = format!("the model is `{}`, not `{name}`", self.settings.name());
                Err(ApiError::new(ErrorCode::ModelNotFound, message).with_param("model"))
            }
            _ => Ok(()),
        }
    }
}

fn not_yet(why: &str) -> HttpError {
    HttpError::from(ApiError::new(ErrorCode::Overloaded, why)).retry_after(RETRY_LOADING)
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}
