//! A server on a scripted decoder, for tests of endpoints.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::middleware::from_fn;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tower::ServiceExt as _;

use super::forms;
use super::metrics::Metrics;
use super::{App, Card, Engine, Failure, Phase, Settings, router};
use crate::chat::Template;
use crate::engine::scripted::{ByteVocab, ScriptedDecoder};
use crate::engine::{Caps, Limits, channel, run};
use crate::openai::ModelFacts;
use crate::session::{GenerationOptions, Session};

/// A template with reasoning, a switch for it, and calls.
pub(super) const TEMPLATE: &str = "{% for message in messages %}<{{ message.role }}>{{ message.content }}\
    {% for call in message.tool_calls or [] %}<tool_call>{\"name\": \"{{ call.function.name }}\", \"arguments\": \
    {{ call.function.arguments | tojson }}}</tool_call>{% endfor %}{{ '\\n' }}\
    {% endfor %}{% if tools %}{{ tools | tojson }}{% endif %}\
    {% if add_generation_prompt %}<assistant>{% if enable_thinking is defined and enable_thinking is false %}\
    <think></think>{% else %}<think>{% endif %}{% endif %}";

/// A time in which everything here happens, on a busy machine too.
pub(super) const LONG: Duration = Duration::from_mins(1);

/// Tokens that a sequence can hold.
pub(super) const CONTEXT: u32 = 4096;

/// A decoder of two sequences.
pub(super) const TINY: Caps =
    Caps { sequences: 2, context: CONTEXT, batch: 512, can_trim: true, can_cache: true, can_copy: true };

/// A server that answers every prompt with `text`, byte by byte.
pub(super) fn server(text: &str) -> Router {
    served(app(text, Settings::default()))
}

/// The endpoints of an app, with errors in the form of each API.
pub(super) fn served(app: Arc<App>) -> Router {
    router(app).layer(from_fn(forms::layer))
}

/// The app of such a server.
pub(super) fn app(text: &str, settings: Settings) -> Arc<App> {
    with(ScriptedDecoder::saying(TINY, text), TINY, settings)
}

/// The app of a server on this decoder.
pub(super) fn with(decoder: ScriptedDecoder, caps: Caps, settings: Settings) -> Arc<App> {
    with_template(decoder, caps, settings, TEMPLATE)
}

/// The same with this template.
pub(super) fn with_template(
    decoder: ScriptedDecoder,
    caps: Caps,
    settings: Settings,
    template: &str,
) -> Arc<App> {
    let (submitter, inbox) = channel(&decoder, &ByteVocab);
    thread::spawn(move || run(decoder, ByteVocab, &inbox, Limits::of(caps)));
    let template = Template::parse(template, "", "").unwrap();
    let session = Session::new(submitter, Arc::new(ByteVocab), template);
    let facts = ModelFacts { context: caps.context, ..ModelFacts::default() };
    let card = Card { file: "m.gguf".to_owned(), facts, slots: caps.sequences };
    let (defaults, failure) = (GenerationOptions::default(), Failure::default());
    let engine = Engine { session, defaults, card, states: None, failure };
    in_phase(Phase::Ready(Arc::new(engine)), settings)
}

/// The app of a server that loads its model.
pub(super) fn loading(settings: Settings) -> Arc<App> {
    in_phase(Phase::Loading { done: 1, total: 4 }, settings)
}

/// The app of a server in this phase.
pub(super) fn in_phase(phase: Phase, settings: Settings) -> Arc<App> {
    let (_, watched) = watch::channel(phase);
    Arc::new(App::new(settings, watched, Arc::new(Metrics::new().unwrap())))
}

/// A request for a chat completion.
pub(super) fn asks(stream: bool) -> Request<Body> {
    let body = json!({"messages": [{"role": "user", "content": "Is it?"}], "stream": stream});
    Request::post("/v1/chat/completions").body(body.to_string().into()).unwrap()
}

/// Waits until a condition holds.
pub(super) async fn until(holds: impl Fn() -> bool) {
    let wait = async {
        while !holds() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(LONG, wait).await.unwrap();
}

/// A response, read to its end.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

impl Reply {
    /// The body as JSON.
    #[track_caller]
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// The data of a stream's frames, its `[DONE]` left out.
    #[track_caller]
    pub(super) fn frames(&self) -> Vec<Value> {
        let data = self.text.lines().filter_map(|line| line.strip_prefix("data: "));
        data.filter(|data| *data != "[DONE]").map(|data| serde_json::from_str(data).unwrap()).collect()
    }
}

/// Sends a body and reads the response.
pub(super) fn post(router: &Router, path: &str, body: &Value) -> Reply {
    let request = Request::post(path).body(Body::from(body.to_string())).unwrap();
    send(router, request)
}

/// Asks for a path.
pub(super) fn get(router: &Router, path: &str) -> Reply {
    send(router, Request::get(path).body(Body::empty()).unwrap())
}

/// Sends a request and reads the response.
pub(super) fn send(router: &Router, request: Request<Body>) -> Reply {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let response = router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        Reply { status: parts.status, headers: parts.headers, text }
    })
}
