//! Errors as responses: the only mapping to a status.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};

use crate::openai::{ApiError, Refusal};
use crate::{engine, session};

/// An error as a response. In the router, a layer of each API writes it in the form of that API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HttpError {
    /// The error.
    pub(super) error: ApiError,
    /// Seconds after which the client may ask again.
    pub(super) retry_after: Option<u64>,
}

impl HttpError {
    /// The same error with a `Retry-After` of this many seconds.
    #[must_use]
    pub(super) fn retry_after(self, seconds: u64) -> Self {
        Self { retry_after: Some(seconds), ..self }
    }
}

impl From<ApiError> for HttpError {
    fn from(error: ApiError) -> Self {
        Self { error, retry_after: None }
    }
}

impl From<Refusal> for HttpError {
    fn from(refusal: Refusal) -> Self {
        ApiError::from(&refusal).into()
    }
}

impl From<session::Error> for HttpError {
    fn from(error: session::Error) -> Self {
        ApiError::from(&error).into()
    }
}

impl From<engine::Error> for HttpError {
    fn from(error: engine::Error) -> Self {
        ApiError::from(&error).into()
    }
}

impl IntoResponse for HttpError {
    fn into_response(self) -> Response {
        let mut response = (status(self.error.code.status()), Json(self.error.body())).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response.extensions_mut().insert(self.error);
        response
    }
}

/// A status by its number.
pub(super) fn status(number: u16) -> StatusCode {
    StatusCode::from_u16(number).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}
