//! Which path leads to which endpoint.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::middleware::from_fn;
use axum::routing::{get, post};

use super::app::App;
use super::endpoints::chat::chat;
use super::endpoints::completion::completion;
use super::endpoints::completions::completions;
use super::endpoints::control::{control, input_tokens};
use super::endpoints::count_tokens::count_tokens;
use super::endpoints::health::health;
use super::endpoints::messages::{in_own_form, messages};
use super::endpoints::responses;
use super::error::HttpError;
use crate::openai::{ApiError, ErrorCode};

/// All endpoints. As in llama-server, `/completions` is OpenAI's below `/v1` and llama-server's own without it.
pub fn router(app: Arc<App>) -> Router {
    let api = Router::new()
        .route("/chat/completions", post(chat))
        .route("/chat/completions/control", post(control))
        .route("/chat/completions/input_tokens", post(input_tokens))
        .route("/completion", post(completion))
        .route("/responses", post(responses::responses))
        .route("/responses/input_tokens", post(responses::input_tokens))
        .route("/health", get(health));
    let anthropic = Router::new()
        .route("/messages", post(messages))
        .route("/messages/count_tokens", post(count_tokens))
        .method_not_allowed_fallback(no_method)
        .layer(from_fn(in_own_form));
    let api = api.merge(anthropic);
    Router::new()
        .nest("/v1", api.clone().route("/completions", post(completions)))
        .merge(api.route("/completions", post(completion)))
        .fallback(no_path)
        .method_not_allowed_fallback(no_method)
        .with_state(app)
}

async fn no_path(request: Request) -> HttpError {
    let message = format!("there is no `{}` here", request.uri().path());
    ApiError::new(ErrorCode::NotFound, message).into()
}

async fn no_method(request: Request) -> HttpError {
    let message = format!("`{}` does not take {}", request.uri().path(), request.method());
    ApiError::new(ErrorCode::MethodNotAllowed, message).into()
}
