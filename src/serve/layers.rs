//! What every request passes, whatever its path.

use std::any::Any;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::middleware::{from_fn, from_fn_with_state, map_response_with_state};
use axum::response::{IntoResponse as _, Response};
use tower_http::catch_panic::CatchPanicLayer;

use super::access::{self, Log};
use super::error::HttpError;
use super::forms;
use super::metrics::Metrics;
use super::security::{self, Policy};
use crate::openai::{ApiError, ErrorCode};

/// A router behind the rules of `policy`, with a record of each response in `log`.
pub fn layered(router: Router, policy: Arc<Policy>, metrics: Arc<Metrics>, log: Log) -> Router {
    let router = router
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(policy, security::layer))
        .layer(from_fn(forms::layer));
    counted(router, metrics).layer(from_fn_with_state(log, access::layer))
}

/// A router whose errors are counted.
pub(super) fn counted(router: Router, metrics: Arc<Metrics>) -> Router {
    router.layer(map_response_with_state(metrics, count))
}

async fn count(State(metrics): State<Arc<Metrics>>, response: Response) -> Response {
    let status = response.status();
    if status.is_client_error() || status.is_server_error() {
        metrics.refuse(status.as_u16());
    }
    response
}

fn panicked(_: Box<dyn Any + Send>) -> Response {
    // The panic hook has reported it.
    HttpError::from(ApiError::new(ErrorCode::Engine, "the request failed unexpectedly")).into_response()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::routing::{get, post};
    use http::Request;
    use http::header::HOST;
    use http_body_util::BodyExt as _;
    use serde_json::{Value, json};
    use tower::ServiceExt as _;

    use super::*;
    use crate::serve::security::{Cors, Keys, Open};

    async fn ask(method: &str, path: &str) -> (u16, String, Value) {
        let fails = || async {
            assert_eq!("on", "purpose");
        };
        let router = Router::new().route("/v1/panics", get(fails)).route("/v1/messages", post(|| async {}));
        let keys = Arc::new(Keys::new(&["one"], None).unwrap());
        let open = Open::new(|_, path| path == "/v1/panics");
        let policy = Policy { hosts: Vec::new(), cors: Cors::default(), keys, open };
        let router = layered(router, Arc::new(policy), Arc::new(Metrics::new().unwrap()), Log::new(|_| {}));
        let request = Request::builder().method(method).uri(path).header(HOST, "localhost");
        let response = router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, id, serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn a_refusal_has_the_form_of_the_api_and_the_id_of_the_response() {
        let (status, id, body) = ask("POST", "/v1/messages").await;
        let error = json!({"type": "authentication_error", "message": "an API key is required"});
        assert_eq!((status, &body), (401, &json!({"type": "error", "error": error, "request_id": id})));
        let (status, _, body) = ask("POST", "/v1/chat/completions").await;
        assert_eq!((status, &body["error"]["code"]), (401, &json!("invalid_api_key")));
    }

    #[tokio::test]
    async fn a_panic_is_an_error_of_the_server() {
        let (status, _, body) = ask("GET", "/v1/panics").await;
        assert_eq!((status, &body["error"]["type"]), (500, &json!("server_error")));
    }
}
