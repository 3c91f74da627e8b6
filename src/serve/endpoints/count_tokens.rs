//! `/v1/messages/count_tokens`.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use serde_json::{Map, Value};

use super::messages::{asked, request};
use crate::anthropic;
use crate::serve::app::App;
use crate::serve::calculate::{Calculated, calculate};
use crate::serve::engine::Engine;
use crate::serve::error::HttpError;

/// Counts the tokens of a conversation's prompt.
pub(in crate::serve) async fn count_tokens(
    State(app): State<Arc<App>>,
    http_request: Request,
) -> Result<Response, HttpError> {
    calculate(&app, http_request, count).await
}

fn count(app: &App, engine: &Engine, body: Map<String, Value>) -> Result<Calculated, HttpError> {
    let asked = asked(app, engine, body)?;
    let tokens = engine.session.count(&request(&asked, 0))?;
    Ok(Calculated { body: anthropic::count(tokens), unknown: asked.unknown })
}
