//! A loaded model as the endpoints see it.

use std::sync::{Arc, OnceLock};

use crate::engine::{self, ClientId, DecodeError, Namespace};
use crate::openai::ModelFacts;
use crate::session::{GenerationOptions, Session};
use crate::state_cache::StateCache;

/// A running engine with its model.
#[derive(Debug, Clone)]
pub struct Engine {
    /// Renders, submits and parses requests.
    pub session: Session,
    /// Options of answers where a request sets none: those of the command line over those of the model.
    pub defaults: GenerationOptions,
    /// Facts about the model.
    pub card: Card,
    /// Saves and restores states of sequences, if it does.
    pub states: Option<StateCache>,
    /// The error that ended it, once there is one.
    pub failure: Failure,
}

impl Engine {
    /// The same engine for a request of this client and namespace.
    pub(super) fn serving(&self, client: ClientId, namespace: Namespace) -> Self {
        Self { session: self.session.within(namespace).for_client(client), ..self.clone() }
    }

    /// The error after which it answers no more requests, once there is one.
    #[must_use]
    pub fn ended(&self) -> Option<engine::Error> {
        let gone = || self.has_ended().then_some(engine::Error::Gone);
        self.failure.get().cloned().or_else(gone)
    }

    /// Requests that have a slot.
    #[must_use]
    pub fn running(&self) -> usize {
        let status = self.session.submitter().status();
        status.borrow().slots.iter().filter(|slot| slot.request.is_some()).count()
    }

    /// Whether it answers no more requests, for whatever reason.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.session.submitter().status().has_changed().is_err()
    }
}

/// The first error after which an engine answers no more requests. Clones share it; each engine has its own, so that an
/// answer that is read late cannot end the engine that was loaded since.
#[derive(Debug, Clone, Default)]
pub struct Failure(Arc<OnceLock<engine::Error>>);

impl Failure {
    /// The error, once there is one.
    #[must_use]
    pub fn get(&self) -> Option<&engine::Error> {
        self.0.get()
    }

    /// Takes note of an answer that failed.
    pub(super) fn note(&self, error: &engine::Error) {
        let ends = matches!(
            error,
            engine::Error::Decode(
                DecodeError::WorkerLost { .. } | DecodeError::DeviceFailed { is_short: false, .. }
            ) | engine::Error::Panicked { .. }
                | engine::Error::Gone
        );
        if ends {
            self.0.get_or_init(|| error.clone());
        }
    }
}

/// Facts about a model.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Card {
    /// The name of its file.
    pub file: String,
    /// Its sizes.
    pub facts: ModelFacts,
    /// Slots.
    pub slots: u32,
}
