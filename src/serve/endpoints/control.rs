//! `/v1/chat/completions/control` ends the reasoning of an answer that is being written, and `/input_tokens` counts the
//! tokens of a prompt.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::response::Response;
use serde_json::{Map, Value, json};

use super::chat;
use crate::openai::{self, ApiError, Endpoint, ErrorCode};
use crate::serve::app::App;
use crate::serve::body;
use crate::serve::calculate::{Calculated, calculate};
use crate::serve::engine::Engine;
use crate::serve::error::HttpError;
use crate::serve::generate::blocking;
use crate::serve::json_body;

/// Ends the reasoning of an answer.
pub(in crate::serve) async fn control(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Json<Value>, HttpError> {
    let (_, received) = body::take(request)?;
    let body = blocking(&app.preparing, move || json_body::parse(&received.bytes)).await??;
    let refused =
        |field: &str, message: String| ApiError::new(ErrorCode::InvalidRequest, message).with_param(field);
    if let Some(other) = body.keys().find(|key| !["id", "action"].contains(&key.as_str())) {
        let message = format!("unknown field `{other}`, expected `id` and `action`");
        return Err(refused(other, message).into());
    }
    let wrong = |field: &str, expected: &str| {
        refused(field, format!("`{field}` is missing or wrong, expected {expected}"))
    };
    let id = body.get("id").and_then(Value::as_str).ok_or_else(|| wrong("id", "the id of an answer"))?;
    if body.get("action").and_then(Value::as_str) != Some("reasoning_end") {
        return Err(wrong("action", "`reasoning_end`").into());
    }
    if app.answers.end_reasoning(id) {
        Ok(Json(json!({ "success": true })))
    } else {
        let message = format!("no answer with the id `{id}` is being written");
        Err(ApiError::new(ErrorCode::NotFound, message).with_param("id").into())
    }
}

/// Counts the tokens of a conversation's prompt.
pub(in crate::serve) async fn input_tokens(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, HttpError> {
    calculate(&app, request, count).await
}

fn count(app: &App, engine: &Engine, body: Map<String, Value>) -> Result<Calculated, HttpError> {
    let asked = chat::conversation(app, engine, openai::read(Endpoint::Chat, body)?)?;
    let tokens = engine.session.count(&chat::request(&asked, 0))?;
    Ok(Calculated { body: json!({ "input_tokens": tokens }), unknown: asked.unknown })
}
