//! Errors of one row.

use serde_json::{Value, json};

use super::ignored::Ignored;
use crate::openai::{ApiError, ErrorCode, Refusal};
use crate::session::ToolChoiceError;
use crate::{engine, session};

/// Kinds of failures, as rows and summaries name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// The line is longer than [`LIMIT`](super::LIMIT).
    LineTooLong,
    /// The line is not UTF-8.
    NotUtf8,
    /// The line is not a JSON object.
    BadJson,
    /// The line has no `custom_id`, or one that is not a string.
    MissingId,
    /// An earlier line has the same id.
    DuplicateId,
    /// The method or the URL is not one that generates.
    BadEndpoint,
    /// The prompt that a table has for it is empty.
    EmptyPrompt,
    /// The request has an unknown field, which a strict run refuses.
    UnknownField,
    /// The request itself failed.
    Request(ErrorCode),
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
            Self::EmptyPrompt => "empty_prompt",
            Self::UnknownField => "unknown_field",
            Self::Request(code) => code.name(),
        }
    }

    /// Its HTTP status.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::Request(code) => code.status(),
            _ => 400,
        }
    }
}

/// The error of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The kind of failure.
    pub cause: Cause,
    error: ApiError,
}

impl Failure {
    /// A failure that is not in a field.
    pub fn new(cause: Cause, message: impl Into<String>) -> Self {
        let code = match cause {
            Cause::Request(code) => code,
            _ => ErrorCode::InvalidRequest,
        };
        Self { cause, error: ApiError::new(code, message) }
    }

    /// An earlier line has the same id.
    pub(super) fn duplicate(id: &str) -> Self {
        Self::new(Cause::DuplicateId, format!("an earlier line has the id `{id}`"))
    }

    /// A strict run found something that would be ignored.
    pub(super) fn ignored(ignored: Ignored) -> Self {
        match ignored {
            Ignored::Unknown(field) => {
                Self::new(Cause::UnknownField, field.to_string()).in_field(&field.name)
            }
            Ignored::Unsupported(refusal) => refusal.into(),
            Ignored::SystemPrompt => Self::new(
                Cause::Request(ErrorCode::InvalidRequest),
                "a row with `prompt` takes no system prompt",
            )
            .in_field("prompt"),
        }
    }

    /// The same failure in this field.
    #[must_use]
    pub fn in_field(self, name: impl Into<String>) -> Self {
        Self { error: self.error.with_param(name), ..self }
    }

    /// The message.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.error.message
    }

    /// The body of the response.
    pub(super) fn body(&self) -> Value {
        let mut body = self.error.body();
        body["error"]["code"] = json!(self.cause.code());
        body
    }
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        Self { cause: Cause::Request(error.code), error }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        ApiError::from(&refusal).into()
    }
}

impl From<ToolChoiceError> for Failure {
    fn from(error: ToolChoiceError) -> Self {
        ApiError::from(&error).into()
    }
}

impl From<&engine::Error> for Failure {
    fn from(error: &engine::Error) -> Self {
        ApiError::from(error).into()
    }
}

impl From<&session::Error> for Failure {
    fn from(error: &session::Error) -> Self {
        ApiError::from(error).into()
    }
}
