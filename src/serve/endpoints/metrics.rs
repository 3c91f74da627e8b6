//! `/metrics`.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderName, HeaderValue, header};

use crate::openai::{ApiError, ErrorCode};
use crate::serve::app::{App, Phase};
use crate::serve::error::HttpError;

/// When the server started, for llama-server's tools.
const STARTED: HeaderName = HeaderName::from_static("process-start-time-unix");
const FORMAT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4");

/// The metrics as text.
pub(in crate::serve) async fn metrics(State(app): State<Arc<App>>) -> Result<Response, HttpError> {
    if !app.settings.metrics {
        let message = "`/metrics` needs `--metrics`";
        return Err(ApiError::new(ErrorCode::NotSupported, message).into());
    }
    let (status, saved) = match &*app.phase.borrow() {
        Phase::Ready(engine) => {
            let saved = engine.states.as_ref().map(|states| states.counters().get());
            (Some(engine.session.submitter().status().borrow().clone()), saved)
        }
        Phase::Downloading { .. } | Phase::Loading { .. } | Phase::Failed(_) => (None, None),
    };
    let text = app.metrics.render(status.as_ref(), saved).map_err(|error| {
        tracing::error!(%error, "the metrics cannot be written");
        ApiError::new(ErrorCode::Engine, "the metrics cannot be written")
    })?;
    let headers = [(header::CONTENT_TYPE, FORMAT), (STARTED, HeaderValue::from(app.started))];
    Ok((headers, text).into_response())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::serve::layers::counted;
    use crate::serve::testing::{app, get, loading, post};
    use crate::serve::{Settings, router};
    use serde_json::json;

    fn on() -> Settings {
        Settings { metrics: true, ..Settings::default() }
    }

    fn value(text: &str, name: &str) -> f64 {
        let found = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        found.unwrap_or_else(|| panic!("`{name}` is missing in {text}")).parse().unwrap()
    }

    #[test]
    fn metrics_count_answers_whole_and_streamed_and_errors() {
        let app = app("ok", on());
        let router = counted(router(Arc::clone(&app)), Arc::clone(&app.metrics));
        for stream in [false, true] {
            let body = json!({"prompt": "hello", "max_tokens": 9, "stream": stream});
            assert_eq!(post(&router, "/v1/completions", &body).status.as_u16(), 200);
        }
        assert_eq!(post(&router, "/v1/completions", &json!({})).status.as_u16(), 400);
        let found = get(&router, "/metrics");
        assert_eq!(found.headers["content-type"], "text/plain; version=0.0.4");
        assert!(found.headers["process-start-time-unix"].to_str().unwrap().parse::<u64>().unwrap() > 0);
        for (name, expected) in [
            ("ggrun_request_success_total{finished_reason=\"stop\"}", 2.0),
            ("ggrun_e2e_request_latency_seconds_count", 2.0),
            ("ggrun_request_generation_tokens_sum", 6.0),
            ("ggrun_generation_tokens_total", 6.0),
            ("ggrun_prompt_tokens_total", 10.0),
            ("ggrun_requests_refused_total{status=\"400\"}", 1.0),
            ("llamacpp:tokens_predicted_total", 6.0),
            ("llamacpp:requests_processing", 0.0),
        ] {
            assert!((value(&found.text, name) - expected).abs() < 1e-9, "{name}");
        }
    }

    #[test]
    fn metrics_need_their_option_and_no_model() {
        let found = get(&router(app("", Settings::default())), "/metrics");
        assert_eq!(
            (found.status.as_u16(), &found.json()["error"]["type"]),
            (501, &json!("not_supported_error"))
        );
        let found = get(&router(loading(on())), "/metrics");
        assert_eq!(found.status.as_u16(), 200);
        assert!(found.text.contains("ggrun_connections 0") && !found.text.contains("llamacpp:"));
    }
}
