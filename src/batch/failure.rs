//! Why one row has no answer.

use serde_json::{Value, json};

use crate::engine::{self, SamplingError};
use crate::openai::Refusal;
use crate::session;

/// Kinds of failures, as rows and summaries name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// The line is longer than any is allowed to be.
    LineTooLong,
    /// The line is not text.
    NotUtf8,
    /// The line is not a JSON object.
    BadJson,
    /// The line has no `custom_id`, or something else in its place.
    MissingId,
    /// An earlier line has this id.
    DuplicateId,
    /// The request is for something else than an answer.
    BadEndpoint,
    /// The request has a field that nobody knows, and was to be strict.
    UnknownField,
    /// A field of the request is missing or has a value it cannot have.
    BadRequest,
    /// The template makes no prompt of the conversation.
    BadPrompt,
    /// The prompt does not fit into the context.
    PromptTooLong,
    /// Tokens cannot be chosen as asked.
    BadSampling,
    /// The grammar or schema is none.
    BadGrammar,
    /// The engine failed, more than once.
    Engine,
}

impl Cause {
    /// Its name in a row.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::LineTooLong => "line_too_long",
            Self::NotUtf8 => "not_utf8",
            Self::BadJson => "invalid_json",
            Self::MissingId => "missing_custom_id",
            Self::DuplicateId => "duplicate_custom_id",
            Self::BadEndpoint => "invalid_endpoint",
            Self::UnknownField => "unknown_field",
            Self::BadRequest => "invalid_request",
            Self::BadPrompt => "invalid_prompt",
            Self::PromptTooLong => "context_length_exceeded",
            Self::BadSampling => "invalid_sampling",
            Self::BadGrammar => "invalid_grammar",
            Self::Engine => "engine_error",
        }
    }

    /// As a server would answer.
    #[must_use]
    pub fn status(self) -> u16 {
        if self == Self::Engine { 500 } else { 400 }
    }
}

/// Why one row failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Of what kind.
    pub cause: Cause,
    /// In words.
    pub message: String,
    /// The field that is to blame, if one is.
    pub field: Option<String>,
}

impl Failure {
    /// A failure without a field.
    pub fn new(cause: Cause, message: impl Into<String>) -> Self {
        Self { cause, message: message.into(), field: None }
    }

    /// The body that a server would answer with.
    pub(super) fn body(&self) -> Value {
        let kind = if self.cause.status() == 500 { "server_error" } else { "invalid_request_error" };
        json!({ "error": {
            "message": self.message, "type": kind, "param": self.field, "code": self.cause.code(),
        } })
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let field = Some(refusal.field().to_owned());
        Self { cause: Cause::BadRequest, message: refusal.to_string(), field }
    }
}

impl From<&engine::Error> for Failure {
    fn from(error: &engine::Error) -> Self {
        use engine::Error as E;
        let cause = match error {
            E::PromptTooLong { .. } => Cause::PromptTooLong,
            E::PromptEmpty | E::TokenUnknown { .. } => Cause::BadPrompt,
            E::Sampling(SamplingError::Grammar { .. } | SamplingError::Schema { .. }) => Cause::BadGrammar,
            E::Sampling(_) => Cause::BadSampling,
            _ => Cause::Engine,
        };
        Self::new(cause, chain(error))
    }
}

impl From<&session::Error> for Failure {
    fn from(error: &session::Error) -> Self {
        match error {
            session::Error::Engine(error) => error.into(),
            other => Self::new(Cause::BadPrompt, chain(other)),
        }
    }
}

/// An error and its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}
