//! `/health`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use serde_json::json;

use crate::openai::{ApiError, ErrorCode};
use crate::serve::app::{App, Phase};
use crate::serve::error::HttpError;
use crate::serve::refused::Refused;

/// Whether requests are answered, and how far the model is loaded.
pub(in crate::serve) async fn health(State(app): State<Arc<App>>) -> Response {
    let phase = app.phase.borrow().clone();
    match phase {
        Phase::Ready(engine) if engine.has_ended() => {
            HttpError::from(ApiError::new(ErrorCode::Engine, "the engine has ended")).into_response()
        }
        Phase::Ready(_) if app.drain.has_begun() => HttpError::from(Refused::Draining).into_response(),
        Phase::Ready(_) => Json(json!({ "status": "ok" })).into_response(),
        Phase::Loading { done, total } => {
            let error = json!({ "message": "Loading model", "type": "unavailable_error", "code": 503 });
            #[expect(clippy::cast_precision_loss, reason = "a fraction for people")]
            let progress = if total == 0 { 0.0 } else { done as f64 / total as f64 };
            let body = json!({ "error": error, "progress": progress });
            (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
        }
        Phase::Failed(reason) => HttpError::from(ApiError::new(ErrorCode::Engine, reason)).into_response(),
    }
}
