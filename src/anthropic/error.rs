//! Errors in Anthropic's form.

use serde_json::{Value, json};

use crate::openai::{ApiError, ErrorCode};

/// The JSON body of an error. It is also the event that ends a stream.
#[must_use]
pub fn error_body(error: &ApiError, request_id: &str) -> Value {
    json!({
        "type": "error",
        "error": { "type": kind(error.code), "message": error.message },
        "request_id": request_id,
    })
}

/// The HTTP status of an error.
#[must_use]
pub fn status(code: ErrorCode) -> u16 {
    match code {
        ErrorCode::Overloaded => 529,
        other => other.status(),
    }
}

fn kind(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::ContextLengthExceeded => "invalid_request_error",
        ErrorCode::Overloaded => "overloaded_error",
        ErrorCode::Engine => "api_error",
        other if other.status() == 413 => "request_too_large",
        other => other.kind(),
    }
}
