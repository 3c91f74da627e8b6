//! `/v1/responses` on scripts.

use serde_json::{Value, json};

use crate::serve::testing::{Reply, post, server};

const SAYS: &str = "hm</think>Yes.";
const PATH: &str = "/v1/responses";
/// Two requests of an agent: one that begins a turn, and one in the middle of it.
const CODEX: &str = include_str!("../../../tests/judges/codex.json");
const CALL: &str = "<tool_call>{\"name\": \"shell\", \"arguments\": {\"command\": [\"ls\"]}}</tool_call>";

/// The names of a stream's events, each checked against the type in its data.
fn names(reply: &Reply) -> Vec<String> {
    let names: Vec<String> =
        reply.text.lines().filter_map(|line| line.strip_prefix("event: ")).map(str::to_owned).collect();
    let types: Vec<String> =
        reply.frames().iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect();
    assert_eq!(names, types);
    names
}

#[test]
fn a_conversation_is_answered_whole() {
    let reply = post(&server(SAYS), PATH, &json!({"input": "Is it?", "instructions": "Be brief."}));
    assert_eq!(reply.status, 200, "{}", reply.text);
    let body = reply.json();
    assert!(body["id"].as_str().unwrap().starts_with("resp_"), "{body}");
    assert_eq!([&body["object"], &body["status"]], [&json!("response"), &json!("completed")]);
    let [thought, message] = body["output"].as_array().unwrap().as_slice() else { panic!("{body}") };
    assert_eq!(thought["content"][0]["text"], "hm");
    assert_eq!(message["content"][0]["text"], "Yes.");
    assert_eq!(body["instructions"], "Be brief.");
    assert!(body["usage"]["output_tokens_details"]["reasoning_tokens"].as_u64().unwrap() > 0);
    assert!(body["timings"]["prompt_n"].as_u64().unwrap() > 0);
}

#[test]
fn a_stream_has_named_events_and_ends_with_the_same_response() {
    let server = server(SAYS);
    let body = json!({"input": "Is it?", "stream": true});
    let reply = post(&server, PATH, &body);
    assert_eq!(reply.headers["content-type"], "text/event-stream");
    assert!(!reply.text.contains("[DONE]"));
    let names = names(&reply);
    assert_eq!(names[..2], ["response.created", "response.in_progress"]);
    assert_eq!(names.last().unwrap(), "response.completed");
    let events = reply.frames();
    let text: String = events
        .iter()
        .filter(|event| event["type"] == "response.output_text.delta")
        .map(|event| event["delta"].as_str().unwrap())
        .collect();
    assert_eq!(text, "Yes.");
    let ids: Vec<&Value> = events.iter().filter_map(|event| event["response"].get("id")).collect();
    assert!(ids.len() == 3 && ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    let whole = post(&server, PATH, &json!({"input": "Is it?"})).json();
    let last = &events.last().unwrap()["response"];
    let texts = |response: &Value| -> Vec<Value> {
        let items = response["output"].as_array().unwrap();
        items.iter().map(|item| json!([item["type"], item["status"], item["content"]])).collect()
    };
    assert_eq!(texts(last), texts(&whole));
    assert_eq!(last["usage"]["output_tokens"], whole["usage"]["output_tokens"]);
}

#[test]
fn progress_and_timings_come_if_they_are_asked_for() {
    let body = json!({"input": "Is it?", "stream": true, "return_progress": true, "timings_per_token": true});
    let events = post(&server(SAYS), PATH, &body).frames();
    let progress: Vec<&Value> = events.iter().filter_map(|event| event.get("prompt_progress")).collect();
    let (first, last) = (progress[0], progress[progress.len() - 1]);
    assert_eq!((&first["processed"], &last["processed"]), (&first["cache"], &last["total"]));
    assert!(progress.iter().all(|progress| progress["time_ms"].is_number()));
    let deltas: Vec<&Value> = events.iter().filter(|event| event.get("delta").is_some()).collect();
    assert!(!deltas.is_empty());
    assert!(deltas.iter().all(|event| event["timings"]["predicted_per_second"].is_number()), "{deltas:?}");
    let plain = post(&server(SAYS), PATH, &json!({"input": "Is it?", "stream": true})).frames();
    let has = |event: &Value, name: &str| event.get(name).is_some();
    assert!(
        !plain
            .iter()
            .any(|event| has(event, "prompt_progress") || has(event, "delta") && has(event, "timings"))
    );
}

#[test]
fn the_requests_of_an_agent_are_answered() {
    let bodies: Vec<Value> = serde_json::from_str(CODEX).unwrap();
    let server = server(&format!("hm</think>I will look.\n{CALL}\n{CALL}"));
    let first = post(&server, PATH, &bodies[0]);
    assert_eq!(first.status, 200, "{}", first.text);
    let ignored = first.headers["x-ggrun-ignored"].to_str().unwrap();
    assert_eq!(ignored, "tools.custom, tools.local_shell, tools.namespace, tools.web_search");
    let events = first.frames();
    let done = events.iter().filter(|event| event["type"] == "response.output_item.done");
    let items: Vec<&Value> = done.map(|event| &event["item"]).collect();
    let kinds: Vec<&Value> = items.iter().map(|item| &item["type"]).collect();
    assert_eq!(kinds, ["reasoning", "message", "function_call"], "one call, as parallel calls are forbidden");
    let arguments: Value = serde_json::from_str(items[2]["arguments"].as_str().unwrap()).unwrap();
    assert_eq!((&items[2]["name"], arguments), (&json!("shell"), json!({"command": ["ls"]})));
    let last = events.last().unwrap();
    assert_eq!(last["type"], "response.completed");
    assert_eq!(last["response"]["output"].as_array().unwrap().len(), 3);
    let second = post(&server, PATH, &bodies[1]);
    assert_eq!(second.status, 200, "{}", second.text);
    assert_eq!(second.headers["x-ggrun-ignored"], "input.reasoning");
    let calls = second.frames().iter().filter(|event| event["item"]["type"] == "function_call").count();
    assert_eq!(calls, 4, "two calls, each added and done");
}

#[test]
fn a_prompt_has_the_tokens_of_the_same_conversation_in_a_chat() {
    let server = server(SAYS);
    let response = post(
        &server,
        "/v1/responses/input_tokens",
        &json!({"instructions": "Be brief.", "input": [{"role": "user", "content": "Is it?"}]}),
    );
    let messages = json!([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Is it?"}]);
    let chat = post(&server, "/v1/chat/completions/input_tokens", &json!({ "messages": messages })).json();
    assert_eq!(
        response.json(),
        json!({"object": "response.input_tokens", "input_tokens": chat["input_tokens"]})
    );
}

#[test]
fn what_counting_ignores_is_named() {
    let body = json!({"input": "Is it?", "wish": 1, "tools": [{"type": "web_search"}]});
    let reply = post(&server(SAYS), "/v1/responses/input_tokens", &body);
    assert_eq!(
        (reply.status.as_u16(), &reply.headers["x-ggrun-ignored"]),
        (200, &"wish, tools.web_search".parse().unwrap())
    );
}

#[test]
fn what_is_refused_keeps_its_status_in_a_stream() {
    let server = server(SAYS);
    for (name, value) in [("previous_response_id", json!("resp_1")), ("background", json!(true))] {
        let mut body = json!({"input": "Is it?", "stream": true});
        body[name] = value;
        let reply = post(&server, PATH, &body);
        assert_eq!((reply.status.as_u16(), &reply.json()["error"]["param"]), (400, &json!(name)));
    }
    let long = post(&server, PATH, &json!({"input": "x".repeat(5000), "stream": true}));
    assert_eq!(
        (long.status.as_u16(), &long.json()["error"]["code"]),
        (400, &json!("context_length_exceeded"))
    );
}

#[test]
fn an_answer_that_reaches_its_limit_is_incomplete() {
    let body = post(&server(SAYS), PATH, &json!({"input": "Is it?", "max_output_tokens": 12})).json();
    assert_eq!(
        (&body["status"], &body["incomplete_details"]["reason"]),
        (&json!("incomplete"), &json!("max_output_tokens"))
    );
    assert_eq!(body["output"][1]["status"], "incomplete");
    assert_eq!(body["output"][1]["content"][0]["text"], "Ye");
}
