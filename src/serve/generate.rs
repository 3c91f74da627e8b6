//! From a body to a response: prepared on a blocking thread, answered as a stream or as one body.

use std::sync::{Arc, Mutex, PoisonError};

use axum::Json;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use futures_util::future::try_join_all;
use http::{HeaderName, HeaderValue, header};
use serde_json::{Map, Value};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;

use super::app::App;
use super::body;
use super::engine::{Engine, Failure};
use super::error::HttpError;
use super::job::Job;
use super::json_body;
use super::metrics::Meter;
use super::stream;
use super::tally::Tally;
use crate::engine;
use crate::openai::{ApiError, ErrorCode, UnknownField};
use crate::session::{Answer, Chat};

/// Names the fields of a request that were ignored.
const IGNORED: HeaderName = HeaderName::from_static("x-ggrun-ignored");
/// Bytes of that header.
const MOST_IGNORED: usize = 1024;

/// Prepares and submits a request on a blocking thread, and answers it.
///
/// # Errors
///
/// When the body is not a JSON object, the server is not ready, or `prepare` fails or panics.
pub(super) async fn respond<F>(app: &Arc<App>, request: Request, prepare: F) -> Result<Response, HttpError>
where
    F: FnOnce(&App, &Engine, Map<String, Value>) -> Result<Job, HttpError> + Send + 'static,
{
    let extensions = request.extensions();
    let client = extensions.get().copied().unwrap_or_default();
    let namespace = extensions.get().copied().unwrap_or_default();
    let (tally, received) = body::take(request)?;
    let shared = Arc::clone(app);
    let prepare = move |turn: Turn| -> Result<(Job, Failure), HttpError> {
        let body = json_body::parse(&received.bytes)?;
        let mut engine = shared.engine()?.serving(client, namespace);
        // A state takes a while to read, in which other requests can be prepared.
        engine.session = engine.session.before_hooks(move || turn.end());
        let job = prepare(&shared, &engine, body)?;
        Ok((job, engine.failure))
    };
    let (job, failure) = in_turn(&app.preparing, prepare).await??;
    let ignored = job.ignored.clone();
    let response = if job.is_stream {
        stream_response(stream::body(app, job, failure, tally))
    } else {
        whole(app, job, &failure, &tally).await?
    };
    Ok(with_ignored(app, response, &ignored))
}

/// The same response with a header that names the fields that were ignored, which are also counted.
pub(super) fn with_ignored(app: &App, mut response: Response, ignored: &[String]) -> Response {
    app.metrics.ignore(ignored.len());
    if let Some(ignored) = header(ignored) {
        response.headers_mut().insert(IGNORED, ignored);
    }
    response
}

/// Runs a function on a blocking thread, once few others of these `turns` run there.
///
/// # Errors
///
/// When it panics.
pub(super) async fn blocking<T: Send + 'static>(
    turns: &Arc<Semaphore>,
    run: impl FnOnce() -> T + Send + 'static,
) -> Result<T, HttpError> {
    in_turn(turns, |_| run()).await
}

/// Allows a function to run on a blocking thread, beside few others.
#[derive(Debug, Clone)]
struct Turn(Arc<Mutex<Option<OwnedSemaphorePermit>>>);

impl Turn {
    /// Lets the next function run.
    fn end(&self) {
        drop(self.0.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

/// Runs a function on a blocking thread, once few others of these `turns` run there. It may end its turn early.
async fn in_turn<T: Send + 'static>(
    turns: &Arc<Semaphore>,
    run: impl FnOnce(Turn) -> T + Send + 'static,
) -> Result<T, HttpError> {
    let failed = || ApiError::new(ErrorCode::Engine, "the request could not be prepared");
    let permit = Arc::clone(turns).acquire_owned().await.map_err(|_| failed())?;
    let turn = Turn(Arc::new(Mutex::new(Some(permit))));
    let run = move || {
        let result = run(turn.clone());
        turn.end();
        result
    };
    Ok(spawn_blocking(run).await.map_err(|error| {
        tracing::error!(%error, "a request could not be prepared");
        failed()
    })?)
}

/// Fields that were ignored, as text.
pub(super) fn ignored(unknown: &[UnknownField]) -> Vec<String> {
    unknown.iter().map(|field| field.name.clone()).collect()
}

fn stream_response(frames: Body) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-cache, no-transform"),
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    (headers, frames).into_response()
}

async fn whole(app: &App, job: Job, failure: &Failure, tally: &Tally) -> Result<Response, HttpError> {
    let Job { chats, mut encoder, listed: _listed, .. } = job;
    let collect = |chat: Chat| {
        let mut meter = Meter::new(Arc::clone(&app.metrics));
        chat.collect_async(move |event| -> Result<(), engine::Error> {
            tally.event(event);
            meter.event(event);
            Ok(())
        })
    };
    let answers: Result<Vec<Answer>, engine::Error> = try_join_all(chats.into_iter().map(collect)).await;
    let answers = answers.inspect_err(|error| failure.note(error))?;
    Ok(Json(encoder.whole(answers)).into_response())
}

/// Names that fit into a header.
fn header(names: &[String]) -> Option<HeaderValue> {
    if names.is_empty() {
        return None;
    }
    let mut text = String::new();
    for name in names {
        let shown: String =
            name.chars().map(|c| if c.is_ascii_graphic() && c != ',' { c } else { '?' }).collect();
        if text.len() + shown.len() > MOST_IGNORED {
            text += ", ...";
            break;
        }
        if !text.is_empty() {
            text += ", ";
        }
        text += &shown;
    }
    HeaderValue::from_str(&text).ok()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use http::StatusCode;
    use serde_json::json;
    use tokio::sync::watch;
    use tokio::time::timeout;
    use tower::ServiceExt as _;

    use super::*;
    use crate::serve::app::PREPARED_AT_ONCE;
    use crate::serve::metrics::Metrics;
    use crate::serve::testing;
    use crate::serve::{Phase, Settings, router};
    use crate::session::Hooks;

    #[test]
    fn requests_are_prepared_while_states_are_read_for_others() {
        let ((reads, reading), (done, wait)) = (channel(), channel::<()>());
        let wait = Mutex::new(wait);
        let before = move |_: engine::Prompt<'_>| {
            reads.send(()).unwrap();
            wait.lock().unwrap().recv().unwrap();
        };
        let hooks = Hooks { before: Arc::new(before), after: Arc::new(|_| {}) };
        let engine = testing::app("ok", Settings::default()).engine().unwrap();
        let session = engine.session.clone().with_hooks(hooks);
        let phase = Phase::Ready(Arc::new(Engine { session, ..(*engine).clone() }));
        let (_phase, watched) = watch::channel(phase);
        let app = Arc::new(App::new(Settings::default(), watched, Arc::new(Metrics::new().unwrap())));
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let ask = || {
            let body = json!({ "messages": [{ "role": "user", "content": "hi" }] }).to_string();
            let request = Request::post("/v1/chat/completions").body(Body::from(body)).unwrap();
            runtime.spawn(router(Arc::clone(&app)).oneshot(request))
        };
        let asked: Vec<_> = (0..=PREPARED_AT_ONCE).map(|_| ask()).collect();
        let most = Duration::from_mins(1);
        for _ in &asked {
            reading.recv_timeout(most).unwrap();
        }
        let other = runtime.block_on(async { timeout(most, blocking(&app.preparing, || 7)).await });
        assert_eq!(other.unwrap().ok(), Some(7));
        for _ in &asked {
            done.send(()).unwrap();
        }
        for answer in asked {
            assert_eq!(runtime.block_on(answer).unwrap().unwrap().status(), StatusCode::OK);
        }
        assert_eq!(app.preparing.available_permits(), PREPARED_AT_ONCE);
    }
}
