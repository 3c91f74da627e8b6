//! Errors as a server returns them: status, type, code, field and message.

use serde_json::{Value, json};

use super::refusal::Refusal;
use crate::engine::{self, SamplingError};
use crate::session::{self, ToolChoiceError};

/// Kinds of errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ErrorCode {
    /// A field is missing or has a wrong value.
    InvalidRequest,
    /// The conversation cannot be rendered.
    InvalidPrompt,
    /// The prompt does not fit in the context.
    ContextLengthExceeded,
    /// A sampling value is out of range.
    InvalidSampling,
    /// The grammar or JSON schema is invalid.
    InvalidGrammar,
    /// A key is missing or wrong.
    InvalidKey,
    /// The host or the origin of the request is not allowed.
    Forbidden,
    /// There is no such path.
    NotFound,
    /// There is no such model.
    ModelNotFound,
    /// The path does not take this method.
    MethodNotAllowed,
    /// The body did not arrive in time.
    TimedOut,
    /// Something was changed since it was read.
    Changed,
    /// The body is too large.
    BodyTooLarge,
    /// The headers are too large.
    HeadersTooLarge,
    /// The client has too many open requests.
    TooManyRequests,
    /// The queue is full, or the server is not ready.
    Overloaded,
    /// The server does not have this endpoint, or it is turned off.
    NotSupported,
    /// The engine failed.
    Engine,
}

impl ErrorCode {
    /// The `code`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidPrompt => "invalid_prompt",
            Self::ContextLengthExceeded => "context_length_exceeded",
            Self::InvalidSampling => "invalid_sampling",
            Self::InvalidGrammar => "invalid_grammar",
            Self::InvalidKey => "invalid_api_key",
            Self::Forbidden => "permission_denied",
            Self::NotFound => "not_found",
            Self::ModelNotFound => "model_not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::TimedOut => "request_timeout",
            Self::Changed => "precondition_failed",
            Self::BodyTooLarge => "request_too_large",
            Self::HeadersTooLarge => "headers_too_large",
            Self::TooManyRequests => "rate_limit_exceeded",
            Self::Overloaded => "overloaded",
            Self::NotSupported => "not_supported",
            Self::Engine => "engine_error",
        }
    }

    /// The `type`.
    #[must_use]
    pub fn kind(self) -> &'static str {
        match self {
            Self::InvalidRequest
            | Self::InvalidPrompt
            | Self::InvalidSampling
            | Self::InvalidGrammar
            | Self::MethodNotAllowed
            | Self::TimedOut
            | Self::Changed
            | Self::BodyTooLarge
            | Self::HeadersTooLarge => "invalid_request_error",
            Self::InvalidKey => "authentication_error",
            Self::Forbidden => "permission_error",
            Self::NotFound | Self::ModelNotFound => "not_found_error",
            Self::TooManyRequests => "rate_limit_error",
            Self::NotSupported => "not_supported_error",
            Self::ContextLengthExceeded => "exceed_context_size_error",
            Self::Overloaded => "unavailable_error",
            Self::Engine => "server_error",
        }
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::InvalidRequest
            | Self::InvalidPrompt
            | Self::ContextLengthExceeded
            | Self::InvalidSampling
            | Self::InvalidGrammar => 400,
            Self::InvalidKey => 401,
            Self::Forbidden => 403,
            Self::NotFound | Self::ModelNotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::TimedOut => 408,
            Self::Changed => 412,
            Self::BodyTooLarge => 413,
            Self::TooManyRequests => 429,
            Self::HeadersTooLarge => 431,
            Self::Engine => 500,
            Self::NotSupported => 501,
            Self::Overloaded => 503,
        }
    }
}

/// An error as a server returns it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    /// The kind of error.
    pub code: ErrorCode,
    /// The message, in one line.
    pub message: String,
    /// The field with the error, if there is one.
    pub param: Option<String>,
    /// Tokens of the prompt and of the context, if the prompt is too long.
    pub overflow: Option<(usize, u32)>,
}

impl ApiError {
    /// An error without a field.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), param: None, overflow: None }
    }

    /// The same error in this field.
    #[must_use]
    pub fn with_param(self, param: impl Into<String>) -> Self {
        Self { param: Some(param.into()), ..self }
    }

    /// The JSON body.
    #[must_use]
    pub fn body(&self) -> Value {
        let Self { code, message, param, overflow } = self;
        let mut error =
            json!({ "message": message, "type": code.kind(), "param": param, "code": code.name() });
        if let Some((tokens, context)) = overflow {
            (error["n_prompt_tokens"], error["n_ctx"]) = (json!(tokens), json!(context));
        }
        json!({ "error": error })
    }
}

impl From<&Refusal> for ApiError {
    fn from(refusal: &Refusal) -> Self {
        Self::new(ErrorCode::InvalidRequest, refusal.to_string()).with_param(refusal.field())
    }
}

impl From<&ToolChoiceError> for ApiError {
    fn from(error: &ToolChoiceError) -> Self {
        let param = match error {
            ToolChoiceError::Unwritable(_) => "tools",
            _ => "tool_choice",
        };
        Self::new(ErrorCode::InvalidRequest, error.to_string()).with_param(param)
    }
}

impl From<&engine::Error> for ApiError {
    fn from(error: &engine::Error) -> Self {
        use engine::Error as E;
        let code = match error {
            &E::PromptTooLong { tokens, context } => {
                // Clients recognize an overflow by one of these phrases.
                let message = format!(
                    "prompt is too long: {tokens} tokens > {context} maximum; it exceeds the available context size \
                     (maximum context length {context})"
                );
                let overflow = Some((tokens, context));
                return Self { overflow, ..Self::new(ErrorCode::ContextLengthExceeded, message) };
            }
            E::PromptEmpty | E::TokenUnknown { .. } => ErrorCode::InvalidPrompt,
            E::Sampling(SamplingError::Grammar { .. } | SamplingError::Schema { .. }) => {
                ErrorCode::InvalidGrammar
            }
            E::Sampling(_) => ErrorCode::InvalidSampling,
            E::TooManyStops { .. } => ErrorCode::InvalidRequest,
            E::QueueFull { .. } | E::Closing => ErrorCode::Overloaded,
            _ => ErrorCode::Engine,
        };
        Self::new(code, chain(error))
    }
}

impl From<&session::Error> for ApiError {
    fn from(error: &session::Error) -> Self {
        match error {
            session::Error::Engine(error) => error.into(),
            session::Error::ToolChoice(error) => error.into(),
            session::Error::Continue(error) => {
                Self::new(ErrorCode::InvalidRequest, error.to_string()).with_param("continue_final_message")
            }
            session::Error::BudgetMessage { .. } => {
                Self::new(ErrorCode::InvalidRequest, error.to_string()).with_param("reasoning_budget_message")
            }
            other => Self::new(ErrorCode::InvalidPrompt, chain(other)),
        }
    }
}

/// An error and its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_a_status_a_type_and_a_code() {
        let grammar = SamplingError::Grammar { reason: "x".to_owned() };
        for (error, status, kind, code) in [
            (engine::Error::PromptEmpty, 400, "invalid_request_error", "invalid_prompt"),
            (engine::Error::Sampling(grammar), 400, "invalid_request_error", "invalid_grammar"),
            (
                engine::Error::Sampling(SamplingError::Breaker),
                400,
                "invalid_request_error",
                "invalid_sampling",
            ),
            (engine::Error::QueueFull { capacity: 1 }, 503, "unavailable_error", "overloaded"),
            (engine::Error::Gone, 500, "server_error", "engine_error"),
        ] {
            let found = ApiError::from(&error);
            assert_eq!((found.code.status(), found.code.kind(), found.code.name()), (status, kind, code));
        }
        let missing = ApiError::from(&Refusal::Missing { field: "prompt" });
        assert_eq!(
            missing.body(),
            json!({"error": {"message": "`prompt` is missing", "type": "invalid_request_error", "param": "prompt",
                "code": "invalid_request"}})
        );
    }

    #[test]
    fn an_overflow_has_its_numbers_and_the_phrases_that_clients_match() {
        let error = ApiError::from(&engine::Error::PromptTooLong { tokens: 300, context: 256 });
        let body = error.body();
        assert_eq!(error.code.status(), 400);
        assert_eq!((&body["error"]["n_prompt_tokens"], &body["error"]["n_ctx"]), (&json!(300), &json!(256)));
        assert_eq!(body["error"]["type"], "exceed_context_size_error");
        for phrase in [
            "prompt is too long: 300 tokens > 256 maximum",
            "exceeds the available context size",
            "maximum context length 256",
        ] {
            assert!(error.message.contains(phrase), "{}", error.message);
        }
    }
}
