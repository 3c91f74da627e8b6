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

/// Whether requests are answered, and how far the model is downloaded or loaded.
pub(in crate::serve) async fn health(State(app): State<Arc<App>>) -> Response {
    let phase = app.phase.borrow().clone();
    match phase {
        Phase::Ready(engine) if engine.has_ended() => {
            HttpError::from(ApiError::new(ErrorCode::Engine, "the engine has ended")).into_response()
        }
        Phase::Ready(_) if app.drain.has_begun() => HttpError::from(Refused::Draining).into_response(),
        Phase::Ready(_) => Json(json!({ "status": "ok" })).into_response(),
        Phase::Downloading { done, total } => not_yet("downloading", "Downloading model", done, total),
        Phase::Loading { done, total } => not_yet("loading", "Loading model", done, total),
        Phase::Failed(reason) => HttpError::from(ApiError::new(ErrorCode::Engine, reason)).into_response(),
    }
}

/// The body of llama-server, and the part of the bytes that are here.
fn not_yet(status: &str, message: &str, done: u64, total: u64) -> Response {
    let error = json!({ "message": message, "type": "unavailable_error", "code": 503 });
    #[expect(clippy::cast_precision_loss, reason = "a fraction for people")]
    let progress = if total == 0 { 0.0 } else { done as f64 / total as f64 };
    let body = json!({ "status": status, "error": error, "progress": progress });
    (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::testing::{get, in_phase, post};
    use crate::serve::{Settings, router};

    #[test]
    fn the_progress_of_a_download_and_of_loading_is_shown_while_nothing_is_answered() {
        for (phase, status, progress) in [
            (Phase::Downloading { done: 0, total: 0 }, "downloading", 0.0),
            (Phase::Downloading { done: 1, total: 4 }, "downloading", 0.25),
            (Phase::Loading { done: 3, total: 4 }, "loading", 0.75),
        ] {
            let router = router(in_phase(phase, Settings::default()));
            let health = get(&router, "/health");
            let body = health.json();
            assert_eq!(
                (health.status.as_u16(), &body["status"], &body["progress"], &body["error"]["code"]),
                (503, &json!(status), &json!(progress), &json!(503))
            );
            let refused = post(&router, "/v1/completions", &json!({ "prompt": "1" }));
            assert_eq!((refused.status.as_u16(), refused.headers.contains_key("retry-after")), (503, true));
            let error = refused.json();
            let message = error["error"]["message"].as_str().unwrap();
            assert!(message.contains(status.trim_end_matches("ing")), "{message}");
            assert_eq!(get(&router, "/v1/models").status, StatusCode::OK);
        }
    }
}
