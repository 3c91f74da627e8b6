//! A loaded model as the endpoints see it.

use crate::engine::Submitter;
use crate::session::{GenerationOptions, Session};

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
}

impl Engine {
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
    /// Tokens that a conversation can have.
    pub context: u32,
    /// Tokens that the model was trained on.
    pub trained_context: u32,
    /// Tokens in the vocabulary.
    pub vocabulary: u32,
    /// Weights.
    pub parameters: u64,
    /// Bytes of the weights.
    pub bytes: u64,
    /// Slots.
    pub slots: u32,
}
