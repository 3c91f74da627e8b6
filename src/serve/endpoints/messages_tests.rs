//! `/v1/messages` and `count_tokens` on a scripted decoder.

use std::sync::Arc;

use axum::body::Body;
use http::{Request, StatusCode};
use serde_json::{Value, json};

use crate::engine::Caps;
use crate::engine::scripted::ScriptedDecoder;
use crate::serve::access::Log;
use crate::serve::layers::layered;
use crate::serve::security::{Cors, Open, Policy};
use crate::serve::testing::{app, get, post, send, served, server, with_template};
use crate::serve::{App, Metrics, Settings};

const SAYS: &str = "hm</think>Yes.";
const CALLS: &str = "hm</think>Look.<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": 1}}</tool_call>";
/// The requests of a client whose instructions begin with a line that differs each time.
const AGENT: &str = include_str!("../../../tests/judges/claude_code.json");
/// A template that renders tools, calls and results.
const THINKER: &str = include_str!("../../../tests/data/tiny-thinker/chat_template.jinja");

fn question(more: Value) -> Value {
    let mut body =
        json!({"model": "any", "max_tokens": 100, "messages": [{"role": "user", "content": "Is it?"}]});
    let Value::Object(more) = more else { panic!("{more}") };
    body.as_object_mut().unwrap().extend(more);
    body
}

fn tools() -> Value {
    json!([{"name": "f", "input_schema": {"type": "object", "properties": {"a": {"type": "integer"}}}}])
}

/// The names of the events and the types of their data.
fn names(text: &str) -> Vec<&str> {
    text.lines().filter_map(|line| line.strip_prefix("event: ")).collect()
}

#[test]
fn a_conversation_is_answered_whole() {
    let reply = post(&server(SAYS), "/v1/messages?beta=true", &question(json!({})));
    assert_eq!(reply.status, 200, "{}", reply.text);
    let body = reply.json();
    assert_eq!(
        (&body["type"], &body["role"], &body["model"]),
        (&json!("message"), &json!("assistant"), &json!("model"))
    );
    assert!(body["id"].as_str().unwrap().starts_with("msg_"));
    let thinking = json!({"type": "thinking", "thinking": "hm", "signature": "ggrun"});
    assert_eq!(body["content"], json!([thinking, {"type": "text", "text": "Yes."}]));
    assert_eq!((&body["stop_reason"], &body["stop_sequence"]), (&json!("end_turn"), &Value::Null));
    let usage = &body["usage"];
    assert_eq!(usage["output_tokens"], SAYS.len() + 1);
    assert_eq!((usage["input_tokens"].as_u64(), &usage["cache_read_input_tokens"]), (Some(31), &json!(0)));
    assert!(body.get("timings").is_none());
}

#[test]
fn a_stream_has_named_events_and_the_prompts_tokens_first() {
    let reply = post(&server(CALLS), "/messages", &question(json!({"stream": true, "tools": tools()})));
    assert_eq!(reply.headers["content-type"], "text/event-stream");
    let frames = reply.frames();
    let types: Vec<_> = frames.iter().map(|frame| frame["type"].as_str().unwrap()).collect();
    assert_eq!(types, names(&reply.text));
    let starts = frames.iter().filter(|frame| frame["type"] == "content_block_start");
    let blocks: Vec<_> = starts.map(|frame| frame["content_block"]["type"].as_str().unwrap()).collect();
    assert_eq!(blocks, ["thinking", "text", "tool_use"]);
    let usage = &frames[0]["message"]["usage"];
    assert_eq!((&frames[0]["type"], usage["output_tokens"].as_u64()), (&json!("message_start"), Some(0)));
    assert!(usage["input_tokens"].as_u64().unwrap() > 30);
    let [.., delta, stop] = frames.as_slice() else { panic!("{frames:?}") };
    assert_eq!((&delta["delta"]["stop_reason"], &stop["type"]), (&json!("tool_use"), &json!("message_stop")));
    assert_eq!(delta["usage"]["input_tokens"], usage["input_tokens"]);
    assert!(!reply.text.contains("[DONE]"));
}

#[test]
fn a_stop_sequence_is_named() {
    let reply = post(&server(SAYS), "/v1/messages", &question(json!({"stop_sequences": ["", "x", "es"]})));
    let body = reply.json();
    assert_eq!((&body["stop_reason"], &body["stop_sequence"]), (&json!("stop_sequence"), &json!("es")));
    assert_eq!(body["content"][1]["text"], "Y");
}

#[test]
fn thinking_is_off_or_limited_where_it_is_disabled_or_has_a_budget() {
    let count = |thinking: Value| {
        let body = question(json!({ "thinking": thinking }));
        post(&server("."), "/v1/messages/count_tokens", &body).json()["input_tokens"].as_u64().unwrap()
    };
    let plain = count(json!({"type": "adaptive"}));
    assert_eq!(count(json!({"type": "enabled", "budget_tokens": 9})), plain);
    assert_eq!(count(json!({"type": "disabled"})), plain + "</think>".len() as u64);
    let off =
        post(&server("Yes."), "/v1/messages", &question(json!({"thinking": {"type": "disabled"}}))).json();
    assert_eq!(off["content"], json!([{"type": "text", "text": "Yes."}]));
    let opened = post(
        &server("<think>hm</think>Yes."),
        "/v1/messages",
        &question(json!({"thinking": {"type": "disabled"}})),
    );
    let opened = opened.json();
    assert_eq!(
        (opened["content"].as_array().unwrap().len(), &opened["content"][0]["type"]),
        (1, &json!("text")),
        "{opened}"
    );
    let limited = question(json!({"thinking": {"type": "enabled", "budget_tokens": 1}}));
    let limited = post(&server(SAYS), "/v1/messages", &limited).json();
    assert!(limited["content"][0]["thinking"].as_str().unwrap().starts_with('h'), "{limited}");
    assert!(limited["content"][0]["thinking"].as_str().unwrap().contains("enough"), "{limited}");
}

#[test]
fn a_call_may_be_required() {
    let body = question(json!({"tools": tools(), "tool_choice": {"type": "tool", "name": "g"}}));
    let refused = post(&server("."), "/v1/messages", &body);
    assert_eq!(refused.status, 400);
    let message = "`tool_choice` names function `g`, which is not in `tools`";
    assert_eq!(refused.json()["error"], json!({"type": "invalid_request_error", "message": message}));
    let dropped = question(
        json!({"tools": [{"type": "bash_20250124", "name": "bash"}], "tool_choice": {"type": "any"}}),
    );
    assert_eq!(post(&server("."), "/v1/messages", &dropped).status, 400);
}

#[test]
fn a_prompt_is_counted_as_it_is_read() {
    let server = server(SAYS);
    for more in [
        json!({}),
        json!({"system": "Be kind.", "tools": tools()}),
        json!({"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "It is"}]}),
    ] {
        let body = question(more);
        let counted = post(&server, "/v1/messages/count_tokens", &body).json();
        let usage = post(&server, "/v1/messages", &body).json()["usage"].clone();
        let total =
            usage["input_tokens"].as_u64().unwrap() + usage["cache_read_input_tokens"].as_u64().unwrap();
        assert_eq!(counted, json!({ "input_tokens": total }), "{body}");
    }
}

#[test]
fn errors_have_anthropics_form() {
    let server = server(".");
    let long = json!({"messages": [{"role": "user", "content": "x".repeat(5000)}], "stream": true});
    for path in ["/v1/messages", "/v1/messages/count_tokens", "/messages"] {
        let refused = post(&server, path, &json!({"messages": []}));
        let body = refused.json();
        assert_eq!((refused.status, &body["type"]), (StatusCode::BAD_REQUEST, &json!("error")));
        assert_eq!(body["error"]["type"], "invalid_request_error");
        assert!(body["request_id"].as_str().unwrap().starts_with("req_"));
        let wrong = get(&server, path);
        assert_eq!((wrong.status.as_u16(), &wrong.json()["type"]), (405, &json!("error")));
    }
    let refused = post(&server, "/v1/messages", &long);
    let message = refused.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.starts_with("prompt is too long: ") && message.contains("> 4096 maximum"), "{message}");
    let other = post(&server, "/v1/chat/completions", &json!({"messages": []}));
    assert!(other.json().get("type").is_none());
}

#[test]
fn refusals_before_the_endpoint_have_anthropics_form_and_the_requests_id() {
    let policy = Policy {
        hosts: Vec::new(),
        cors: Cors::default(),
        keys: Arc::default(),
        open: Open::new(|_, _| false),
    };
    let server = layered(server("."), Arc::new(policy), Arc::new(Metrics::new().unwrap()), Log::new(|_| {}));
    for (path, host, status, kind) in [
        ("/v1/messages", "example.org", 403, "permission_error"),
        ("/messages/count_tokens", "example.org", 403, "permission_error"),
        ("/v1/messages", "localhost", 400, "invalid_request_error"),
    ] {
        let request = Request::post(path).header("host", host).body(Body::from("{}")).unwrap();
        let reply = send(&server, request);
        let body = reply.json();
        assert_eq!((reply.status.as_u16(), &body["error"]["type"]), (status, &json!(kind)), "{body}");
        assert_eq!(body["request_id"], reply.headers["x-request-id"].to_str().unwrap());
    }
    let request =
        Request::post("/v1/completions").header("host", "example.org").body(Body::from("{}")).unwrap();
    assert!(send(&server, request).json().get("type").is_none());
}

#[test]
fn a_strict_server_refuses_another_model() {
    let settings = Settings { strict_model: true, ..Settings::default() };
    let refused = post(&served(app(".", settings)), "/v1/messages", &question(json!({})));
    assert_eq!((refused.status.as_u16(), &refused.json()["error"]["type"]), (404, &json!("not_found_error")));
}

#[test]
fn fields_that_are_ignored_are_named_in_a_header() {
    let body = question(json!({"context_management": {}, "tools": [{"type": "web_search_20250305"}]}));
    for path in ["/v1/messages", "/v1/messages/count_tokens"] {
        let reply = post(&server("."), path, &body);
        assert_eq!(reply.headers["x-ggrun-ignored"], "context_management, tools.web_search_20250305");
    }
}

/// A server whose sequences hold long prompts with tools.
fn long(text: &str) -> Arc<App> {
    let caps =
        Caps { sequences: 2, context: 1 << 15, batch: 512, can_trim: true, can_cache: true, can_copy: true };
    with_template(ScriptedDecoder::saying(caps, text), caps, Settings::default(), THINKER)
}

#[test]
fn requests_of_an_agent_that_differ_in_a_line_of_metadata_share_their_prompt() {
    let agent: Value = serde_json::from_str(AGENT).unwrap();
    let server = served(long(SAYS));
    let usages: Vec<[u64; 2]> = agent["requests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|request| {
            let reply = post(&server, "/v1/messages?beta=true", request);
            assert_eq!(reply.status, 200, "{}", reply.text);
            assert!(reply.headers["x-ggrun-ignored"].to_str().unwrap().contains("context_management"));
            let frames = reply.frames();
            let usage = &frames[0]["message"]["usage"];
            ["input_tokens", "cache_read_input_tokens"].map(|name| usage[name].as_u64().unwrap())
        })
        .collect();
    let [first, again, next] = usages[..] else { panic!("{usages:?}") };
    let all = first[0] + first[1];
    assert_eq!((first[1], again[0] + again[1]), (0, all));
    assert!(again[1] * 100 >= all * 99, "{again:?} of {all}");
    assert!(next[1] * 100 >= all * 99, "{next:?} of {all}");
}
