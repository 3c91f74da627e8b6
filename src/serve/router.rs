//! Which path leads to which endpoint.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::middleware::from_fn_with_state;
use axum::routing::{any, get, post};
use http::Method;

use super::app::App;
use super::endpoints::chat::chat;
use super::endpoints::completion::completion;
use super::endpoints::completions::completions;
use super::endpoints::control::{control, input_tokens};
use super::endpoints::conversations;
use super::endpoints::count_tokens::count_tokens;
use super::endpoints::excluded::{self, not_supported};
use super::endpoints::health::health;
use super::endpoints::messages::messages;
use super::endpoints::metrics::metrics;
use super::endpoints::models::{model, models};
use super::endpoints::openapi::openapi;
use super::endpoints::props::{props, slots};
use super::endpoints::responses;
use super::endpoints::template::apply_template;
use super::endpoints::tokenize::{detokenize, tokenize};
use super::error::HttpError;
use super::intake;
use super::page::{Page, file, index};
use super::security::Open;
use crate::openai::{ApiError, ErrorCode};

/// All endpoints. As in llama-server, `/completions` is OpenAI's below `/v1` and llama-server's own without it.
pub fn router(app: Arc<App>) -> Router {
    let admitted = || from_fn_with_state(Arc::clone(&app), intake::admitted);
    let with_body = || from_fn_with_state(Arc::clone(&app), intake::with_body);
    let generating = Router::new()
        .route("/chat/completions", post(chat))
        .route("/completion", post(completion))
        .route("/responses", post(responses::responses))
        .route_layer(admitted());
    let reading = Router::new()
        .route("/chat/completions/control", post(control))
        .route("/chat/completions/input_tokens", post(input_tokens))
        .route("/responses/input_tokens", post(responses::input_tokens))
        .route("/apply-template", post(apply_template))
        .route("/detokenize", post(detokenize))
        .route("/tokenize", post(tokenize))
        .route_layer(with_body());
    let reports = Router::new()
        .route("/health", get(health))
        .route("/metrics", get(metrics))
        .route("/models", get(models))
        .route("/models/{*model}", get(model))
        .route("/openapi.json", get(openapi))
        .route("/props", get(props).post(not_supported))
        .route("/slots", get(slots));
    let reports = excluded::PATHS.into_iter().fold(reports, |api, path| api.route(path, any(not_supported)));
    let anthropic = Router::new()
        .route("/messages", post(messages).route_layer(admitted()))
        .route("/messages/count_tokens", post(count_tokens).route_layer(with_body()));
    let api = Router::new().merge(generating).merge(reading).merge(anthropic).merge(reports);
    Router::new()
        .nest("/v1", api.clone().route("/completions", post(completions).route_layer(admitted())))
        .merge(api.route("/completions", post(completion).route_layer(admitted())))
        .route("/api/conversations", get(conversations::list))
        .route(
            "/api/conversations/{name}",
            get(conversations::get).put(conversations::put).delete(conversations::delete),
        )
        .route("/", get(index))
        .fallback(file)
        .method_not_allowed_fallback(no_method)
        .with_state(app)
}

/// The first parts of the paths of endpoints. What a page's folder has under these names needs a key.
const ENDPOINTS: [&str; 23] = [
    "api",
    "apply-template",
    "audio",
    "chat",
    "completion",
    "completions",
    "detokenize",
    "embedding",
    "embeddings",
    "health",
    "infill",
    "lora-adapters",
    "messages",
    "metrics",
    "models",
    "openapi.json",
    "props",
    "rerank",
    "reranking",
    "responses",
    "slots",
    "systemone",
    "tokenize",
];

/// The requests that need no key: for the health of the server, and for files of the page.
#[must_use]
pub fn open_paths(page: Option<Page>) -> Open {
    Open::new(move |method, path| {
        let reads = matches!(*method, Method::GET | Method::HEAD);
        let is_file = || page.as_ref().is_some_and(|page| !is_endpoint(path) && page.has(path));
        reads && (matches!(path, "/" | "/health" | "/v1/health") || is_file())
    })
}

fn is_endpoint(path: &str) -> bool {
    let first = path.split('/').find(|part| !part.is_empty()).unwrap_or_default();
    first == "v1" || ENDPOINTS.contains(&first)
}

async fn no_method(request: Request) -> HttpError {
    let message = format!("{} is not allowed on `{}`", request.method(), request.uri().path());
    ApiError::new(ErrorCode::MethodNotAllowed, message).into()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_endpoint_is_known_as_one() {
        let source = include_str!("router.rs").split("#[cfg(test)]").next().unwrap();
        let routes = source.split("route(").skip(1).filter_map(|rest| rest.split('"').nth(1));
        let paths = routes.chain(excluded::PATHS).filter(|path| *path != "/");
        let first = |path: &str| path.split('/').nth(1).map(str::to_owned);
        let found: BTreeSet<String> = paths.filter_map(first).collect();
        assert_eq!(found, ENDPOINTS.map(str::to_owned).into());
        assert!(is_endpoint("/v1/models") && is_endpoint("//v1") && !is_endpoint("/vendor/htm.js"));
    }
}
