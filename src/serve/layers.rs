//! What every request passes, whatever its path.

use std::any::Any;
use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use tower_http::catch_panic::CatchPanicLayer;

use super::access::{self, Log};
use super::error::HttpError;
use super::forms;
use super::security::{self, Policy};
use crate::openai::{ApiError, ErrorCode};

/// A router behind the rules of `policy`, with a record of each response in `log`.
pub fn layered(router: Router, policy: Arc<Policy>, log: Log) -> Router {
    router
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(policy, security::layer))
        .layer(from_fn(forms::layer))
        .layer(from_fn_with_state(log, access::layer))
}

#[expect(clippy::needless_pass_by_value, reason = "the signature of the layer")]
fn panicked(_: Box<dyn Any + Send>) -> Response {
    // The panic hook has reported it.
    HttpError::from(ApiError::new(ErrorCode::Engine, "the request failed unexpectedly")).into_response()
}
