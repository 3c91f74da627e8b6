//! Chats: whole answers, streams, continued messages, errors.

use serde_json::json;

use crate::serve::testing::{get, post, server};

const SAYS: &str = "hm</think>Yes.";

#[test]
fn a_conversation_is_answered_whole() {
    let reply = post(
        &server(SAYS),
        "/v1/chat/completions",
        &json!({"messages": [{"role": "user", "content": "Is it?"}]}),
    );
    assert_eq!(reply.status, 200, "{}", reply.text);
    let body = reply.json();
    let message = &body["choices"][0]["message"];
    assert_eq!((&message["content"], &message["reasoning_content"]), (&json!("Yes."), &json!("hm")));
    assert_eq!(body["choices"][0]["finish_reason"], "stop");
    assert!(body["usage"]["completion_tokens_details"]["reasoning_tokens"].as_u64().unwrap() > 0);
}

#[test]
fn a_stream_has_the_role_the_texts_the_reason_the_usage_and_an_end() {
    let body = json!({
        "messages": [{"role": "user", "content": "Is it?"}], "stream": true,
        "stream_options": {"include_usage": true}, "return_progress": true,
    });
    let reply = post(&server(SAYS), "/chat/completions", &body);
    assert_eq!(reply.headers["content-type"], "text/event-stream");
    assert!(reply.text.ends_with("data: [DONE]\n\n"));
    let frames = reply.frames();
    assert_eq!(frames[0]["choices"][0]["delta"], json!({"role": "assistant", "content": null}));
    let text = |name: &str| -> String {
        let deltas = frames.iter().filter_map(|frame| frame["choices"][0]["delta"][name].as_str());
        deltas.collect()
    };
    assert_eq!((text("reasoning_content"), text("content")), ("hm".to_owned(), "Yes.".to_owned()));
    let progress: Vec<_> = frames.iter().filter(|frame| !frame["prompt_progress"].is_null()).collect();
    let first = &progress[0]["prompt_progress"];
    assert_eq!(first["processed"], first["cache"]);
    let last = &progress.last().unwrap()["prompt_progress"];
    assert_eq!(last["processed"], last["total"]);
    assert!(last["time_ms"].is_number());
    let end = frames.last().unwrap();
    assert_eq!(end["choices"], json!([]));
    assert_eq!(end["usage"]["prompt_tokens"], last["total"]);
}

#[test]
fn the_prompt_is_shown_in_a_body_and_in_a_stream() {
    let mut body = json!({"messages": [{"role": "user", "content": "Is it?"}], "verbose": true, "n": 2});
    let shown = json!({"prompt": "<user>Is it?\n<assistant><think>"});
    assert_eq!(post(&server(SAYS), "/v1/chat/completions", &body).json()["__verbose"], shown);
    body["stream"] = json!(true);
    let frames = post(&server(SAYS), "/v1/chat/completions", &body).frames();
    let found: Vec<_> = frames.iter().filter_map(|frame| frame.get("__verbose")).collect();
    assert_eq!(found, [&shown]);
    let texts = json!({"prompt": ["a", "b"], "verbose": true});
    let body = post(&server("y"), "/v1/completions", &texts).json();
    assert_eq!(body["__verbose"], json!({"prompt": ["a", "b"]}));
}

#[test]
fn a_trailing_message_of_the_assistant_is_continued_and_two_are_refused() {
    let user = json!({"role": "user", "content": "Is it?"});
    let begun = json!({"role": "assistant", "content": "It is"});
    let counted = |messages: serde_json::Value| {
        post(&server("."), "/v1/chat/completions/input_tokens", &json!({ "messages": messages })).json()["input_tokens"]
            .as_u64()
    };
    let (plain, continued) = (counted(json!([user])), counted(json!([user, begun])));
    assert_eq!(plain, Some("<user>Is it?\n<assistant><think>".len() as u64));
    assert_eq!(continued, Some("<user>Is it?\n<assistant>It is".len() as u64));
    let reply = post(&server("."), "/v1/chat/completions", &json!({"messages": [user, begun, begun]}));
    assert_eq!((reply.status.as_u16(), &reply.json()["error"]["param"]), (400, &json!("messages")));
}

#[test]
fn errors_keep_their_status_in_a_stream() {
    let long = "x".repeat(5000);
    let body = json!({"messages": [{"role": "user", "content": long}], "stream": true});
    let reply = post(&server("."), "/v1/chat/completions", &body);
    assert_eq!(
        (reply.status.as_u16(), &reply.json()["error"]["code"]),
        (400, &json!("context_length_exceeded"))
    );
    let refused = post(&server("."), "/v1/chat/completions", &json!({"messages": []}));
    assert_eq!((refused.status.as_u16(), &refused.json()["error"]["param"]), (400, &json!("messages")));
}

#[test]
fn unknown_fields_are_named_in_a_header() {
    let body = json!({"messages": [{"role": "user", "content": "Is it?"}], "mood": 1, "temperatur": 0});
    let reply = post(&server("."), "/v1/chat/completions", &body);
    assert_eq!(reply.headers["x-ggrun-ignored"], "mood, temperatur");
}

#[test]
fn paths_and_methods_that_do_not_exist_are_errors() {
    let server = server(".");
    assert_eq!(get(&server, "/v2/chat").status, 404);
    let wrong = get(&server, "/v1/chat/completions");
    assert_eq!(
        (wrong.status.as_u16(), &wrong.json()["error"]["type"]),
        (405, &json!("invalid_request_error"))
    );
    assert_eq!(get(&server, "/health").json(), json!({"status": "ok"}));
}
