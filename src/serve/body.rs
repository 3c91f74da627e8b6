//! The body of a request, which was received and parsed before its endpoint.

use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::Request;
use serde_json::{Map, Value};

use super::error::HttpError;
use super::tally::Tally;
use crate::openai::{ApiError, ErrorCode};

/// A body as an object; each request of an endpoint with a body has it as an extension.
#[derive(Debug, Clone)]
pub(super) struct Object(Arc<Mutex<Map<String, Value>>>);

impl Object {
    pub(super) fn new(object: Map<String, Value>) -> Self {
        Self(Arc::new(Mutex::new(object)))
    }
}

/// Takes the body of a request, and its tally.
///
/// # Errors
///
/// When the request was not received.
pub(super) fn take(mut request: Request) -> Result<(Tally, Map<String, Value>), HttpError> {
    let extensions = request.extensions_mut();
    let tally = extensions.remove::<Tally>().unwrap_or_default();
    let Some(object) = extensions.remove::<Object>() else {
        return Err(ApiError::new(ErrorCode::Engine, "the body was not received").into());
    };
    Ok((tally, mem::take(&mut object.0.lock().unwrap_or_else(PoisonError::into_inner))))
}
