//! Streams: keepalives, failures, clients that go away.

use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

use axum::body::Body;
use http::Request;
use http_body_util::BodyExt as _;
use serde_json::json;

use super::limits::Limits;
use super::testing::{TINY, app, asks, send, with};
use super::{Failure, Settings, router};
use crate::engine::scripted::ScriptedDecoder;
use crate::engine::{self, DecodeError};

/// A decoder whose steps wait until they are let go.
fn held(says: &str) -> (ScriptedDecoder, Sender<()>) {
    let (go, wait) = channel();
    let decoder = ScriptedDecoder::saying(TINY, says).failing(
        false,
        Box::new(move |_| {
            // Once the sender is gone, steps are free.
            wait.recv().unwrap_or_default();
            None
        }),
    );
    (decoder, go)
}

#[test]
fn a_stream_shows_signs_of_life_while_a_step_takes_long() {
    let (decoder, go) = held("a</think>b");
    let limits = Limits { ping: Duration::from_millis(20), ..Limits::default() };
    let settings = Settings { limits: limits.into(), ..Settings::default() };
    let router = router(with(decoder, TINY, settings));
    let letting = thread::spawn(move || {
        thread::sleep(Duration::from_millis(300));
        drop(go);
    });
    let reply = send(&router, asks(true));
    letting.join().unwrap();
    assert!(reply.text.matches(": \n\n").count() > 2, "{}", reply.text);
    assert!(reply.text.ends_with("data: [DONE]\n\n"));
}

#[test]
fn a_failed_answer_is_an_error_and_ends_the_stream() {
    let failing = || {
        let fault = Box::new(|_: &[&[crate::engine::Token]]| {
            Some(DecodeError::WorkerLost { endpoint: "w:1".to_owned() })
        });
        with(ScriptedDecoder::saying(TINY, "x").failing(true, fault), TINY, Settings::default())
    };
    let app = failing();
    let engine = app.engine().unwrap();
    let reply = send(&router(app), asks(true));
    let last = reply.frames().pop().unwrap();
    assert_eq!(last["error"]["type"], "server_error");
    assert!(last["error"]["message"].as_str().unwrap().contains("w:1"), "{last}");
    assert!(!reply.text.contains("[DONE]"));
    assert!(matches!(engine.failure.get(), Some(engine::Error::Decode(DecodeError::WorkerLost { .. }))));
    let whole = send(&router(failing()), asks(false));
    assert_eq!((whole.status.as_u16(), &whole.json()["error"]["type"]), (500, &json!("server_error")));
}

#[test]
fn an_error_that_ends_an_engine_is_noted_once_and_for_this_engine_only() {
    let (old, new) = (Failure::default(), Failure::default());
    let lost = engine::Error::Decode(DecodeError::WorkerLost { endpoint: "w:1".to_owned() });
    old.note(&engine::Error::Closing);
    assert!(old.get().is_none());
    old.note(&lost);
    old.clone().note(&engine::Error::Gone);
    assert_eq!(old.get(), Some(&lost));
    assert!(new.get().is_none());
}

#[test]
fn a_client_that_goes_away_frees_its_slot() {
    let (decoder, go) = held(&"x".repeat(400));
    let app = with(decoder, TINY, Settings::default());
    let mut status = app.engine().unwrap().session.submitter().status();
    let router = router(app);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        drop(tower::ServiceExt::oneshot(router, asks(true)).await.unwrap());
        // The server sees it at some moment while steps are made.
        let steps = async {
            while go.send(()).is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::select! {
            found = status.wait_for(|status| status.counters.cancelled == 1) => drop(found.unwrap()),
            () = steps => panic!("the engine has ended"),
        }
    });
}

#[test]
fn a_stream_that_waits_shows_its_place_in_the_queue() {
    let (decoder, go) = held(&"x".repeat(400));
    let router = router(with(decoder, TINY, Settings::default()));
    let ask = |progress: bool| {
        let body = json!({
            "messages": [{"role": "user", "content": "Is it?"}], "stream": true, "return_progress": progress,
        });
        let request = Request::post("/v1/chat/completions").body(Body::from(body.to_string())).unwrap();
        tower::ServiceExt::oneshot(router.clone(), request)
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let _in_slots = [ask(false).await.unwrap(), ask(false).await.unwrap()];
        let first = ask(false).await.unwrap();
        let mut second = ask(true).await.unwrap().into_body();
        let mut text = String::new();
        let mut until = async |place: &str| {
            let reading = async {
                while !text.contains(place) {
                    let frame = second.frame().await.unwrap().unwrap();
                    text += std::str::from_utf8(&frame.into_data().unwrap()).unwrap();
                }
            };
            let steps = async {
                while go.send(()).is_ok() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            tokio::select! {
                () = reading => {}
                () = steps => panic!("the engine has ended"),
            }
        };
        until("\"queue\":{\"position\":2,\"waiting\":2}").await;
        drop(first);
        until("\"queue\":{\"position\":1,\"waiting\":1}").await;
    });
}

#[test]
fn texts_of_a_stream_are_never_empty_and_joined_are_the_answer() {
    let says = format!("{}</think>{}", "hm ".repeat(50), "yes ".repeat(50));
    let reply = send(&router(app(&says, Settings::default())), asks(true));
    let texts: Vec<String> = reply
        .frames()
        .iter()
        .filter_map(|frame| Some(frame["choices"][0]["delta"]["content"].as_str()?.to_owned()))
        .collect();
    assert_eq!(texts.concat(), "yes ".repeat(50));
    assert!(texts.iter().all(|text| !text.is_empty()));
}
