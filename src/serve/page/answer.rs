//! Files of the page as responses.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};

use super::built_in::{self, File};
use super::source::Page;
use crate::openai::{ApiError, ErrorCode};
use crate::serve::app::App;
use crate::serve::error::HttpError;

/// What the built-in page may load: its own files and the server's answers. Formulas have inline styles; images in answers
/// are shown only from this server or from the answer itself, so that none is requested elsewhere.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; style-src-attr 'unsafe-inline'; \
    img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The page at `/`.
///
/// # Errors
///
/// When it is turned off.
pub(in crate::serve) async fn index(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, HttpError> {
    let Some(page) = &app.settings.page else {
        return Err(ApiError::new(ErrorCode::NotFound, "the page is turned off by `--no-ui`").into());
    };
    let missing = || ApiError::new(ErrorCode::NotFound, "the page has no `index.html`").into();
    found(page, request).await.ok_or_else(missing)
}

/// Another file of the page.
///
/// # Errors
///
/// When it does not exist.
pub(in crate::serve) async fn file(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, HttpError> {
    let message = format!("`{}` not found", request.uri().path());
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let response = match &app.settings.page {
        Some(page) if reads => found(page, request).await,
        _ => None,
    };
    response.ok_or_else(|| ApiError::new(ErrorCode::NotFound, message).into())
}

async fn found(page: &Page, request: Request) -> Option<Response> {
    let mut response = match page {
        Page::BuiltIn => built_in(built_in::find(request.uri().path())?, request.headers()),
        Page::Folder(folder) => folder.answer(request).await?,
    };
    let rules = [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        // Files have no version in their names.
        ("cache-control", "no-cache"),
    ];
    for (name, value) in rules {
        response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    Some(response)
}

fn built_in(file: &'static File, asked: &HeaderMap) -> Response {
    let made = file.made();
    let headers = [
        (header::ETAG, made.tag.clone()),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (header::VARY, HeaderValue::from_static("accept-encoding")),
    ];
    if lists(asked, &header::IF_NONE_MATCH).any(|tag| is_tag(tag, &made.tag)) {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    let gzip = lists(asked, &header::ACCEPT_ENCODING).any(takes_gzip);
    let body = if gzip { made.gzip.clone() } else { Bytes::from_static(file.bytes) };
    let mut response = (headers, Body::from(body)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, file.kind());
    if gzip {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

/// The elements of a header that is a list.
fn lists<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

fn is_tag(asked: &str, tag: &HeaderValue) -> bool {
    asked == "*" || asked.strip_prefix("W/").unwrap_or(asked).as_bytes() == tag.as_bytes()
}

/// Whether an element of `accept-encoding` is gzip with a weight above zero.
fn takes_gzip(element: &str) -> bool {
    let (coding, weight) = element.split_once(';').unwrap_or((element, "q=1"));
    let weight = weight.trim().strip_prefix("q=").and_then(|weight| weight.parse::<f32>().ok());
    coding.trim().eq_ignore_ascii_case("gzip") && weight.is_some_and(|weight| weight > 0.0)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use http_body_util::BodyExt as _;
    use tower::ServiceExt as _;

    use super::*;
    use crate::serve::router::open_paths;
    use crate::serve::testing::{app, get, loading, post, served};
    use crate::serve::{Settings, router};

    fn page() -> axum::Router {
        served(app("", Settings::default()))
    }

    #[test]
    fn the_page_is_at_the_root_and_can_be_turned_off() {
        let found = get(&page(), "/");
        assert_eq!((found.status.as_u16(), found.text.starts_with("<!doctype html>")), (200, true));
        assert_eq!(found.headers["content-type"], "text/html; charset=utf-8");
        assert_eq!(get(&page(), "/index.html").text, found.text);
        assert_eq!(get(&router(loading(Settings::default())), "/").status.as_u16(), 200);
        let off = served(app("", Settings { page: None, ..Settings::default() }));
        for path in ["/", "/vendor/preact.js"] {
            assert_eq!(get(&off, path).json()["error"]["type"], "not_found_error");
        }
    }

    #[test]
    fn every_file_has_the_headers_that_protect_the_page() {
        for path in ["/", "/vendor/preact.js", "/vendor/LICENSES.txt"] {
            let headers = get(&page(), path).headers;
            assert_eq!(headers["content-security-policy"], POLICY, "{path}");
            assert_eq!(headers["x-content-type-options"], "nosniff");
            assert_eq!(headers["referrer-policy"], "no-referrer");
            assert_eq!(headers["cross-origin-opener-policy"], "same-origin");
            assert_eq!(headers["cross-origin-resource-policy"], "same-origin");
        }
        assert_eq!(
            get(&page(), "/vendor/preact.js").headers["content-type"],
            "text/javascript; charset=utf-8"
        );
    }

    #[test]
    fn other_paths_and_methods_are_not_files_of_the_page() {
        for path in
            ["/vendor", "/vendor/", "/vendor/README.md", "/package.json", "/vendor/../index.html", "//"]
        {
            assert_eq!(get(&page(), path).json()["error"]["type"], "not_found_error", "{path}");
        }
        assert_eq!(post(&page(), "/vendor/preact.js", &serde_json::json!({})).status.as_u16(), 404);
        assert_eq!(post(&page(), "/", &serde_json::json!({})).status.as_u16(), 405);
    }

    #[test]
    fn the_files_of_the_page_need_no_key_and_nothing_else_does() {
        let open = open_paths(Some(Page::BuiltIn));
        for path in ["/", "/vendor/preact.js", "/health", "/v1/health"] {
            assert!(open.contains(&Method::GET, path) && open.contains(&Method::HEAD, path), "{path}");
            assert!(!open.contains(&Method::POST, path), "{path}");
        }
        for path in ["/vendor/none.js", "/v1/models", "/props", "/slots", "/api/conversations"] {
            assert!(!open.contains(&Method::GET, path), "{path}");
        }
        assert!(!open_paths(None).contains(&Method::GET, "/vendor/preact.js"));
    }

    async fn asked(name: HeaderName, value: &str) -> (u16, HeaderMap, Vec<u8>) {
        let request =
            http::Request::get("/vendor/preact.js").header(name, value).body(Body::empty()).unwrap();
        let (parts, body) = page().oneshot(request).await.unwrap().into_parts();
        (parts.status.as_u16(), parts.headers, body.collect().await.unwrap().to_bytes().to_vec())
    }

    #[tokio::test]
    async fn a_file_that_a_browser_has_is_not_sent_again() {
        let (_, headers, _) = asked(header::ACCEPT, "*/*").await;
        let tag = headers[header::ETAG].to_str().unwrap();
        assert_eq!(headers[header::CACHE_CONTROL], "no-cache");
        for value in [tag, &format!("W/{tag}"), &format!("\"other\", {tag}"), "*"] {
            let (status, headers, body) = asked(header::IF_NONE_MATCH, value).await;
            assert_eq!(
                (status, body.len(), &headers[header::ETAG]),
                (304, 0, &tag.parse().unwrap()),
                "{value}"
            );
        }
        assert_eq!(asked(header::IF_NONE_MATCH, "\"other\"").await.0, 200);
    }

    #[tokio::test]
    async fn files_are_compressed_for_clients_that_read_gzip() {
        let (_, _, plain) = asked(header::ACCEPT, "*/*").await;
        for value in ["gzip", "br, GZIP;q=0.5", "deflate,gzip"] {
            let (_, headers, body) = asked(header::ACCEPT_ENCODING, value).await;
            assert_eq!(headers[header::CONTENT_ENCODING], "gzip", "{value}");
            let mut text = Vec::new();
            flate2::read::GzDecoder::new(body.as_slice()).read_to_end(&mut text).unwrap();
            assert!(text == plain && body.len() < plain.len());
        }
        for value in ["br", "gzip;q=0", "x-gzip", "identity"] {
            assert!(asked(header::ACCEPT_ENCODING, value).await.2 == plain, "{value}");
        }
    }
}
