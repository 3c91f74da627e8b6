//! Which path leads to which endpoint.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use http::Method;

use super::app::App;
use super::endpoints::chat::chat;
use super::endpoints::completions::completions;
use super::endpoints::control::{control, input_tokens};
use super::endpoints::health::health;
use super::error::HttpError;
use super::intake;
use crate::openai::{ApiError, ErrorCode};

/// All endpoints.
pub fn router(app: Arc<App>) -> Router {
    let generating = Router::new()
        .route("/chat/completions", post(chat))
        .route("/completions", post(completions))
        .route_layer(from_fn_with_state(Arc::clone(&app), intake::admitted));
    let reading = Router::new()
        .route("/chat/completions/control", post(control))
        .route("/chat/completions/input_tokens", post(input_tokens))
        .route_layer(from_fn_with_state(Arc::clone(&app), intake::with_body));
    let api = Router::new().merge(generating).merge(reading).route("/health", get(health));
    Router::new()
        .nest("/v1", api.clone())
        .merge(api)
        .fallback(no_path)
        .method_not_allowed_fallback(no_method)
        .with_state(app)
}

/// Whether a path needs no key.
#[must_use]
pub fn is_open(method: &Method, path: &str) -> bool {
    matches!(*method, Method::GET | Method::HEAD) && matches!(path, "/health" | "/v1/health")
}

async fn no_path(request: Request) -> HttpError {
    let message = format!("there is no `{}` here", request.uri().path());
    ApiError::new(ErrorCode::NotFound, message).into()
}

async fn no_method(request: Request) -> HttpError {
    let message = format!("`{}` does not take {}", request.uri().path(), request.method());
    ApiError::new(ErrorCode::MethodNotAllowed, message).into()
}
