//! The body of a request, which was received before its endpoint. The endpoint parses it, on a blocking thread, and holds its
//! memory until the request is prepared.

use std::sync::Arc;

use axum::extract::Request;

use super::error::HttpError;
use super::receive::Received;
use super::tally::Tally;
use crate::openai::{ApiError, ErrorCode};

/// Takes the body of a request, and its tally.
///
/// # Errors
///
/// When the request was not received.
pub(super) fn take(mut request: Request) -> Result<(Tally, Arc<Received>), HttpError> {
    let extensions = request.extensions_mut();
    let tally = extensions.remove::<Tally>().unwrap_or_default();
    let Some(received) = extensions.remove::<Arc<Received>>() else {
        return Err(ApiError::new(ErrorCode::Engine, "the body was not received").into());
    };
    Ok((tally, received))
}
