//! The page at `/`, which needs no key.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{Html, IntoResponse as _, Response};
use http::{HeaderName, HeaderValue, header};

use super::app::App;
use super::error::HttpError;
use crate::openai::{ApiError, ErrorCode};

const PAGE: &str = include_str!("page.html");
/// The page loads nothing.
const POLICY: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");

/// The page, or 404 if it is turned off.
pub(super) async fn page(State(app): State<Arc<App>>) -> Result<Response, HttpError> {
    if !app.settings.page {
        return Err(ApiError::new(ErrorCode::NotFound, "the page is turned off by `--no-ui`").into());
    }
    let sniffing = HeaderName::from_static("x-content-type-options");
    let headers = [(header::CONTENT_SECURITY_POLICY, POLICY), (sniffing, NOSNIFF)];
    Ok((headers, Html(PAGE)).into_response())
}

#[cfg(test)]
mod tests {
    use crate::serve::testing::{app, get};
    use crate::serve::{Settings, router};

    #[test]
    fn the_page_is_at_the_root_and_can_be_turned_off() {
        let found = get(&router(app("", Settings::default())), "/");
        assert_eq!((found.status.as_u16(), found.text.starts_with("<!doctype html>")), (200, true));
        assert!(found.headers["content-security-policy"].to_str().unwrap().contains("default-src 'none'"));
        let off = get(&router(app("", Settings { page: false, ..Settings::default() })), "/");
        assert_eq!(off.status.as_u16(), 404);
    }
}
