//! A loaded model as the endpoints see it.

use crate::engine::{Namespace, Submitter};
use crate::openai::ModelFacts;
use crate::session::{GenerationOptions, Session};
use crate::state_cache::StateCache;

/// A running engine with its model.
#[derive(Debug, Clone)]
pub struct Engine {
    /// Renders, submits and parses requests.
    pub session: Session,
    /// Hands requests to the engine.
    pub submitter: Submitter,
    /// Options of answers where a request sets none: those of the command line over those of the model.
    pub defaults: GenerationOptions,
    /// Facts about the model.
    pub card: Card,
    /// Saves and restores states of sequences, if it does.
    pub states: Option<StateCache>,
}

impl Engine {
    /// The same engine for requests of a namespace.
    pub(super) fn within(&self, namespace: Namespace) -> Self {
        Self { session: self.session.within(namespace), ..self.clone() }
    }

    /// Whether it answers no more requests, for whatever reason.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.submitter.status().has_changed().is_err()
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
