//! Errors in the form of the API that a path belongs to.

use axum::body::Body;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use http::header;

use super::access::Id;
use crate::anthropic::{error_body, status};
use crate::openai::ApiError;

/// A middleware that writes errors in Anthropic's form on the paths of Anthropic's API. Elsewhere they have `OpenAI`'s.
pub(super) async fn layer(mut request: Request, next: Next) -> Response {
    let is_anthropic = is_anthropic(request.uri().path());
    let id = request.extensions_mut().get_or_insert_with(Id::random).clone();
    let mut response = next.run(request).await;
    if is_anthropic && let Some(error) = response.extensions_mut().remove::<ApiError>() {
        *response.status_mut() = super::error::status(status(error.code));
        response.headers_mut().remove(header::CONTENT_LENGTH);
        *response.body_mut() = Body::from(error_body(&error, id.as_str()).to_string());
    }
    response
}

fn is_anthropic(path: &str) -> bool {
    let path = path.strip_prefix("/v1").unwrap_or(path);
    path == "/messages" || path.starts_with("/messages/")
}
