//! Answers to requests that need no generation: calculated on a blocking thread.

use std::sync::Arc;

use axum::Json;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Map, Value};

use super::app::App;
use super::body;
use super::engine::Engine;
use super::error::HttpError;
use super::generate::{blocking, ignored, with_ignored};
use super::json_body;
use crate::openai::UnknownField;

/// A result.
#[derive(Debug)]
pub(super) struct Calculated {
    /// The body of the response.
    pub(super) body: Value,
    /// Fields of the request that were ignored.
    pub(super) unknown: Vec<UnknownField>,
}

/// Calculates the response to a request.
///
/// # Errors
///
/// When the body is not a JSON object, the server is not ready, or `calculate` fails or panics.
pub(super) async fn calculate<F>(
    app: &Arc<App>,
    request: Request,
    calculate: F,
) -> Result<Response, HttpError>
where
    F: FnOnce(&App, &Engine, Map<String, Value>) -> Result<Calculated, HttpError> + Send + 'static,
{
    let (_, received) = body::take(request)?;
    let shared = Arc::clone(app);
    let calculate = move || {
        let body = json_body::parse(&received.bytes)?;
        calculate(&shared, &*shared.engine()?, body)
    };
    let Calculated { body, unknown } = blocking(&app.preparing, calculate).await??;
    Ok(with_ignored(app, Json(body).into_response(), &ignored(&unknown)))
}
