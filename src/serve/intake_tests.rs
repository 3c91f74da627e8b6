//! Places and bodies of requests, on a scripted engine.

use std::thread;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use http::Request;
use http_body_util::BodyExt as _;
use serde_json::Value;
use tokio::time::timeout;
use tower::ServiceExt as _;

use super::*;
use crate::engine::scripted::{ByteVocab, ScriptedDecoder};
use crate::engine::{Markup, Token, Vocab as _};
use crate::serve::drain::Stage;
use crate::serve::limits::Limits;
use crate::serve::testing::{LONG, TINY, asks, until, with};
use crate::serve::{Phase, Settings, router};

/// A server with two slots that answers with `x` until the context is full, slowly.
fn endless(settings: Settings) -> (Arc<App>, Router) {
    let slow = |_: &[Token], _: &[Token]| {
        thread::sleep(Duration::from_millis(5));
        ByteVocab.tokenize("x", Markup::Plain)
    };
    let app = with(ScriptedDecoder::new(TINY, Box::new(slow)), TINY, settings);
    (Arc::clone(&app), router(app))
}

fn queue(queue: usize) -> Settings {
    Settings { queue, ..Settings::default() }
}

async fn ask(router: &Router, stream: bool) -> Response {
    router.clone().oneshot(asks(stream)).await.unwrap()
}

async fn whole(response: Response) -> String {
    let bytes = timeout(LONG, response.into_body().collect()).await.unwrap().unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Reads a stream until a text occurs.
async fn read_until(response: &mut Response, end: &str) {
    let mut text = String::new();
    while !text.contains(end) {
        let frame = timeout(LONG, response.body_mut().frame()).await.unwrap().unwrap().unwrap();
        text += &String::from_utf8_lossy(&frame.into_data().unwrap());
    }
}

/// Whether the engine has nothing to do.
fn is_idle(app: &App) -> bool {
    // Also once the server drains.
    let Phase::Ready(engine) = app.phase.borrow().clone() else { panic!("the engine runs") };
    let status = engine.session.submitter().status();
    let status = status.borrow();
    status.waiting.is_empty() && status.slots.iter().all(|slot| slot.request.is_none())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_is_503_and_a_place_comes_back_with_the_end_of_a_response() {
    let (app, router) = endless(queue(1));
    let mut open = Vec::new();
    for _ in 0..3 {
        let response = ask(&router, true).await;
        assert_eq!(response.status(), 200);
        open.push(response);
    }
    let refused = ask(&router, false).await;
    assert_eq!((refused.status().as_u16(), &refused.headers()["retry-after"]), (503, &"5".parse().unwrap()));
    let error: Value = serde_json::from_str(&whole(refused).await).unwrap();
    assert_eq!(error["error"]["code"], "overloaded");
    open.pop();
    until(|| app.admission.open() == 2).await;
    assert_eq!(ask(&router, true).await.status(), 200);
    drop(open);
    until(|| app.admission.open() == 0 && is_idle(&app)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_dropped_before_its_response_is_cancelled() {
    let (app, router) = endless(queue(8));
    let mut tasks = Vec::new();
    for _ in 0..4 {
        let router = router.clone();
        tasks.push(tokio::spawn(async move { ask(&router, false).await.status() }));
    }
    until(|| app.admission.open() == 4 && !is_idle(&app)).await;
    tasks.iter().for_each(tokio::task::JoinHandle::abort);
    until(|| app.admission.open() == 0 && is_idle(&app)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_that_is_not_read_takes_no_place() {
    let (app, router) = endless(queue(8));
    let request = Request::post("/v1/chat/completions").body(Body::from("{}")).unwrap();
    let response = router.oneshot(request).await.unwrap();
    assert_eq!((response.status().as_u16(), app.admission.open()), (400, 0));
    drop(response);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_ends_what_waits_at_once_and_what_runs_after_its_time() {
    let (app, router) = endless(queue(8));
    let mut running = [ask(&router, true).await, ask(&router, true).await];
    for response in &mut running {
        read_until(response, "\"reasoning_content\":\"x").await;
    }
    let waiting = ask(&router, true).await;
    let whole_waiting = tokio::spawn({
        let router = router.clone();
        async move { ask(&router, false).await }
    });
    until(|| app.admission.open() == 4).await;

    app.drain.advance(Stage::Draining);
    let text = whole(waiting).await;
    assert!(text.contains("\"role\":\"assistant\""), "{text}");
    let last = text.trim_end().rsplit("\n\n").next().unwrap().strip_prefix("data: ").unwrap();
    let error: Value = serde_json::from_str(last).unwrap();
    assert_eq!(error["error"]["code"], "overloaded", "{text}");
    let refused = timeout(LONG, whole_waiting).await.unwrap().unwrap();
    assert_eq!(refused.status(), 503);
    assert_eq!(ask(&router, true).await.status(), 503);
    let health = Request::get("/health").body(Body::empty()).unwrap();
    assert_eq!(router.clone().oneshot(health).await.unwrap().status(), 503);
    for response in &mut running {
        read_until(response, "\"reasoning_content\":\"x").await;
    }

    app.drain.advance(Stage::Ending);
    for response in running {
        let text = whole(response).await;
        assert!(text.trim_end().ends_with("}}") && text.contains("\"overloaded\""), "{text}");
        assert!(!text.contains("[DONE]"), "{text}");
    }
    until(|| app.admission.open() == 0 && is_idle(&app)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_gets_pings_while_it_waits_for_a_slot() {
    let limits = Arc::new(Limits { ping: Duration::from_millis(50), ..Limits::default() });
    let (_app, router) = endless(Settings { limits, ..queue(8) });
    let _running = [ask(&router, true).await, ask(&router, true).await];
    let mut waiting = ask(&router, true).await;
    read_until(&mut waiting, ": \n\n: \n\n").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_nothing_loses_its_stream_and_its_slot() {
    let limits = Arc::new(Limits { frames: 4, write: Duration::from_millis(100), ..Limits::default() });
    let (app, router) = endless(Settings { limits, ..queue(8) });
    let response = ask(&router, true).await;
    until(|| !is_idle(&app)).await;
    until(|| is_idle(&app)).await;
    // What was sent does not look like a whole answer.
    assert!(response.into_body().collect().await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_comes_later_does_not_wait_for_all_requests_of_another() {
    let (app, router) = endless(queue(8));
    let ask = async |last: u8| {
        let mut request = asks(true);
        request.extensions_mut().insert(Client::Address([10, 0, 0, last].into()));
        router.clone().oneshot(request).await.unwrap()
    };
    let mut first = [ask(1).await, ask(1).await];
    for response in &mut first {
        read_until(response, "\"reasoning_content\":\"x").await;
    }
    let waiting = [ask(1).await, ask(1).await, ask(1).await];
    let mut other = ask(2).await;
    let status = app.engine().unwrap().session.submitter().status();
    until(|| status.borrow().waiting.len() == 4).await;
    drop(first);
    read_until(&mut other, "\"reasoning_content\":\"x").await;
    assert_eq!(status.borrow().waiting.len(), 2);
    drop(waiting);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_nothing_holds_no_slot_after_a_drain() {
    let limits = Arc::new(Limits { frames: 1, write: LONG, ..Limits::default() });
    let (app, router) = endless(Settings { limits, ..queue(8) });
    let engine = app.engine().unwrap();
    let status = engine.session.submitter().status();
    let response = ask(&router, true).await;
    until(|| status.borrow().counters.tokens_written > 20).await;
    app.drain.advance(Stage::Ending);
    until(|| status.borrow().counters.cancelled == 1).await;
    // Once it reads, it still gets the error.
    let text = whole(response).await;
    assert!(text.contains("\"overloaded\"") && !text.contains("[DONE]"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_refused_by_their_size_and_content() {
    let limits = Arc::new(Limits { body_bytes: 100, ..Limits::default() });
    let (_app, router) = endless(Settings { limits, ..queue(8) });
    let send = |path: &'static str, body: &str| {
        let request = Request::post(path).body(Body::from(body.to_owned())).unwrap();
        let router = router.clone();
        async move { router.oneshot(request).await.unwrap() }
    };
    for path in ["/v1/chat/completions", "/chat/completions/input_tokens"] {
        assert_eq!(send(path, &" ".repeat(101)).await.status(), 413);
        let twice = send(path, r#"{"messages": [], "messages": []}"#).await;
        assert_eq!(twice.status(), 400);
        assert!(whole(twice).await.contains("the key `messages` occurs twice in one object"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_takes_its_memory_until_its_request_is_prepared() {
    let limits = Arc::new(Limits { all_bodies_bytes: 1 << 10, ..Limits::default() });
    let (app, router) = endless(Settings { limits, ..queue(8) });
    let all = u32::try_from(app.preparing.available_permits()).unwrap();
    let preparing = Arc::clone(&app.preparing).acquire_many_owned(all).await.unwrap();
    let first = tokio::spawn({
        let router = router.clone();
        async move { ask(&router, true).await.status() }
    });
    until(|| app.admission.open() == 1).await;
    let refused = ask(&router, true).await;
    assert_eq!(refused.status(), 503);
    assert!(whole(refused).await.contains("the memory for request bodies"));
    drop(preparing);
    assert_eq!(timeout(LONG, first).await.unwrap().unwrap(), 200);
    assert_eq!(ask(&router, true).await.status(), 200);
}
