//! `/v1/messages/count_tokens`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};

use super::messages::{asked, request};
use crate::anthropic;
use crate::serve::app::App;
use crate::serve::body;
use crate::serve::error::HttpError;
use crate::serve::generate::{blocking, ignored, with_ignored};

/// Counts the tokens of a conversation's prompt.
pub(in crate::serve) async fn count_tokens(
    State(app): State<Arc<App>>,
    http_request: Request,
) -> Result<Response, HttpError> {
    let engine = app.engine()?;
    let (_, body) = body::read(http_request).await?;
    let shared = Arc::clone(&app);
    let count = move || {
        let asked = asked(&shared, &engine, body)?;
        let tokens = engine.session.count(&request(&asked, 0))?;
        Ok((tokens, ignored(&asked.unknown)))
    };
    let counted: Result<(usize, Vec<String>), HttpError> = blocking(&app, count).await?;
    let (tokens, ignored) = counted?;
    Ok(with_ignored(&app, Json(anthropic::count(tokens)).into_response(), &ignored))
}
