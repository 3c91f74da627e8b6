//! `/api/conversations`: the conversations of `ggrun chat --session`, as their files have them.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Query, Request, State};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use crate::conversations::{Condition, Conversation, Error, Store, Tag};
use crate::openai::{ApiError, ErrorCode};
use crate::serve::app::App;
use crate::serve::error::HttpError;
use crate::serve::followed::Followed;
use crate::serve::generate::blocking;
use crate::serve::receive;

/// The type of a conversation: JSON lines.
const TYPE: &str = "application/jsonl";

/// The conversations, the last changed first; with `search`, those that contain it.
pub(in crate::serve) async fn list(
    State(app): State<Arc<App>>,
    Query(query): Query<Vec<(String, String)>>,
    request: Request,
) -> Result<Json<Value>, HttpError> {
    let store = store(&app, &request)?;
    let text = query.into_iter().find_map(|(name, value)| (name == "search").then_some(value));
    let turns = if text.is_some() { &app.searching } else { &app.storing };
    // Dropped when the response is ready, or the client is gone.
    let client = Arc::new(());
    let waiting = Arc::downgrade(&client);
    let read = move || match text {
        Some(text) => store.search(&text, || waiting.strong_count() > 0),
        None => store.list().map(|list| (list, true)),
    };
    let (list, is_complete) = blocking(turns, read).await?.map_err(Error::from).map_err(refusal)?;
    let data = list.into_iter().map(|stored| {
        let modified = stored.modified.duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        json!({
            "name": stored.name,
            "title": stored.title,
            "model": stored.model,
            "modified": modified,
            "bytes": stored.bytes,
        })
    });
    let data: Vec<Value> = data.collect();
    Ok(Json(json!({ "object": "list", "data": data, "is_complete": is_complete })))
}

/// One conversation.
pub(in crate::serve) async fn get(
    State(app): State<Arc<App>>,
    name: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, HttpError> {
    let (store, Path(name)) = (store(&app, &request)?, name.map_err(unreadable)?);
    // A conversation above the limit of bodies could not be written back.
    let most = app.settings.limits.body_bytes as u64;
    let read = move || -> Result<(String, Tag), Error> {
        let (conversation, tag) = store.get_within(&name, most)?;
        Ok((conversation.text().map_err(std::io::Error::from)?, tag))
    };
    let (text, tag) = blocking(&app.storing, read).await?.map_err(unusable)?;
    let memory = match app.bodies.take(text.len()) {
        Ok(memory) => memory,
        Err(refused) => return Ok(refused.into_response()),
    };
    let headers = [(header::CONTENT_TYPE, HeaderValue::from_static(TYPE)), etag(&tag)];
    let response = (headers, text).into_response();
    Ok(response.map(|body| Body::new(Followed { body, follower: memory })))
}

/// Writes a conversation, if it is as the client last saw it.
pub(in crate::serve) async fn put(
    State(app): State<Arc<App>>,
    name: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, HttpError> {
    let (store, Path(name)) = (store(&app, &request)?, name.map_err(unreadable)?);
    let condition = condition(request.headers())?.ok_or_else(|| {
        let message =
            "expected `If-Match` with the ETag that was read, or `If-None-Match: *` for a new conversation";
        ApiError::new(ErrorCode::InvalidRequest, message).with_param("If-Match")
    })?;
    let (parts, body) = request.into_parts();
    let body = match receive::read(&parts.headers, body, &app.settings.limits, &app.bodies).await {
        Ok(received) => received,
        Err(refused) => return Ok(refused.into_response()),
    };
    let write = move || {
        let text = std::str::from_utf8(&body.bytes).map_err(|_| Error::NotText)?;
        store.put(&name, &Conversation::parse(text)?, &condition)
    };
    let (tag, is_new) = blocking(&app.storing, write).await?.map_err(refusal)?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::NO_CONTENT };
    Ok((status, [etag(&tag)]).into_response())
}

/// Removes a conversation.
pub(in crate::serve) async fn delete(
    State(app): State<Arc<App>>,
    name: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<StatusCode, HttpError> {
    let (store, Path(name)) = (store(&app, &request)?, name.map_err(unreadable)?);
    let condition = match condition(request.headers())? {
        None => Condition::Exists,
        Some(Condition::New) => {
            let message = "`If-None-Match` is for a new conversation, expected `If-Match`";
            return Err(ApiError::new(ErrorCode::InvalidRequest, message).with_param("If-None-Match").into());
        }
        Some(condition) => condition,
    };
    blocking(&app.storing, move || store.remove(&name, &condition)).await?.map_err(refusal)?;
    Ok(StatusCode::NO_CONTENT)
}

/// The conversations of the client.
fn store(app: &App, request: &Request) -> Result<Arc<Store>, HttpError> {
    app.settings.sessions.of(request.extensions()).ok_or_else(|| {
        ApiError::new(ErrorCode::NotSupported, "conversations are not stored by this server").into()
    })
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn unreadable(error: PathRejection) -> HttpError {
    tracing::debug!(%error, "a name cannot be read");
    ApiError::new(ErrorCode::InvalidRequest, "the name of the conversation is not UTF-8").into()
}

/// What must hold for a change; `None` if the request does not say.
fn condition(headers: &HeaderMap) -> Result<Option<Condition>, HttpError> {
    let value = |name: &HeaderName| {
        let wrong = || {
            ApiError::new(ErrorCode::InvalidRequest, format!("`{name}` is not text"))
                .with_param(name.as_str())
        };
        headers.get(name).map(|value| value.to_str().map(str::trim).map_err(|_| wrong())).transpose()
    };
    let wrong = |name: &str, expected: &str| {
        ApiError::new(ErrorCode::InvalidRequest, format!("`{name}` is wrong, expected {expected}"))
            .with_param(name)
    };
    match (value(&header::IF_MATCH)?, value(&header::IF_NONE_MATCH)?) {
        (None, None) => Ok(None),
        (None, Some("*")) => Ok(Some(Condition::New)),
        (None, Some(_)) => Err(wrong("If-None-Match", "`*`").into()),
        (Some("*"), None) => Ok(Some(Condition::Exists)),
        (Some(tags), None) => {
            // A weak tag never matches.
            let quoted = |tag: &str| Some(Tag::new(tag.trim().strip_prefix('"')?.strip_suffix('"')?));
            let tags = tags
                .split(',')
                .map(|tag| if tag.trim().starts_with("W/") { Some(Tag::new("")) } else { quoted(tag) });
            let tags: Option<Vec<Tag>> = tags.collect();
            Ok(Some(Condition::Tags(tags.ok_or_else(|| wrong("If-Match", "quoted ETags"))?)))
        }
        (Some(_), Some(_)) => {
            let message = "`If-Match` and `If-None-Match` cannot be combined";
            Err(ApiError::new(ErrorCode::InvalidRequest, message).with_param("If-None-Match").into())
        }
    }
}

fn etag(tag: &Tag) -> (HeaderName, HeaderValue) {
    let value = HeaderValue::from_str(&format!("\"{}\"", tag.as_str()));
    (header::ETAG, value.unwrap_or_else(|_| HeaderValue::from_static("\"\"")))
}

/// Why a stored conversation cannot be read: what is wrong with its file is not an error of the request.
fn unusable(error: Error) -> HttpError {
    match &error {
        Error::Format(_) | Error::NotText | Error::TooLarge { .. } => answer(ErrorCode::Engine, &error),
        _ => refusal(error),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn refusal(error: Error) -> HttpError {
    let code = match &error {
        Error::Missing { .. } => ErrorCode::NotFound,
        Error::Exists { .. } | Error::Changed { .. } => ErrorCode::Changed,
        Error::TooLarge { .. } => ErrorCode::BodyTooLarge,
        Error::Busy => ErrorCode::Overloaded,
        Error::Name(_) | Error::Format(_) | Error::NotText | Error::Full { .. } => ErrorCode::InvalidRequest,
        _ => ErrorCode::Engine,
    };
    answer(code, &error)
}

fn answer(code: ErrorCode, error: &Error) -> HttpError {
    // Failures of the disk are for the log: they may name paths.
    if code == ErrorCode::Engine {
        tracing::warn!(?error, "cannot access a conversation");
    } else {
        tracing::debug!(?error, "a conversation is refused");
    }
    let message = match error {
        Error::Format(source) => format!("{error}: {source}"),
        Error::TooLarge { .. } if code == ErrorCode::Engine => format!("{error}; `--max-body` allows more"),
        _ => error.to_string(),
    };
    ApiError::new(code, message).into()
}

#[cfg(test)]
#[path = "conversations_tests.rs"]
mod tests;
