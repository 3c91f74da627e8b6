//! Events of an answer to events of a stream and to the whole body.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::chat::{FunctionCall, ToolCall, ToolKind};
use crate::engine::{self, FinishReason, Timings, Usage};
use crate::openai::{ApiError, ErrorCode, Refusal};
use crate::session::{Answer, ChatEvent, ChatUsage};

const WEATHER: &str = "weather";

fn call(name: &str, arguments: Value) -> ChatEvent {
    let function = FunctionCall { name: name.to_owned(), arguments };
    ChatEvent::ToolCall(ToolCall { id: Some("toolu_0".to_owned()), kind: ToolKind::Function, function })
}

fn finished(reason: FinishReason) -> ChatEvent {
    let total = Usage { prompt_tokens: 7, reused_tokens: 2, completion_tokens: 5 };
    let timings = Timings { queued: Duration::ZERO, prefill: Duration::ZERO, decode: Duration::ZERO };
    ChatEvent::Finished { reason, usage: ChatUsage { total, reasoning_tokens: 1 }, timings }
}

fn head() -> Head {
    Head { id: "x".to_owned(), model: "m".to_owned(), stop: vec!["END".to_owned()], thinking: true }
}

const PROGRESS: ChatEvent = ChatEvent::Progress { total: 7, reused: 2, read: 0 };

fn stream(events: &[ChatEvent]) -> Vec<Value> {
    stream_of(head(), events)
}

fn stream_of(head: Head, events: &[ChatEvent]) -> Vec<Value> {
    let mut encoder = Events::new(head, "r");
    events.iter().flat_map(|event| encoder.event(event)).collect()
}

#[test]
fn a_stream_has_a_message_with_blocks_one_after_the_other() {
    let content = |text: &str| ChatEvent::Content(text.to_owned());
    let frames = stream(&[
        PROGRESS,
        ChatEvent::Progress { total: 7, reused: 2, read: 5 },
        ChatEvent::Reasoning("h".to_owned()),
        ChatEvent::Reasoning("m".to_owned()),
        content("Lo"),
        content("ok."),
        call(WEATHER, json!({"city": "Rome"})),
        finished(FinishReason::Stop),
    ]);
    let block = |index: u32, block: Value| json!({"type": "content_block_start", "index": index, "content_block": block});
    let delta =
        |index: u32, delta: Value| json!({"type": "content_block_delta", "index": index, "delta": delta});
    let stop = |index: u32| json!({"type": "content_block_stop", "index": index});
    assert_eq!(
        frames,
        [
            json!({"type": "message_start", "message": {
                "id": "msg_x", "type": "message", "role": "assistant", "model": "m", "content": [], "stop_reason": null,
                "stop_sequence": null, "usage": {"input_tokens": 5, "cache_creation_input_tokens": 0,
                    "cache_read_input_tokens": 2, "output_tokens": 0}}}),
            block(0, json!({"type": "thinking", "thinking": "", "signature": ""})),
            delta(0, json!({"type": "thinking_delta", "thinking": "h"})),
            delta(0, json!({"type": "thinking_delta", "thinking": "m"})),
            delta(0, json!({"type": "signature_delta", "signature": "ggrun"})),
            stop(0),
            block(1, json!({"type": "text", "text": ""})),
            delta(1, json!({"type": "text_delta", "text": "Lo"})),
            delta(1, json!({"type": "text_delta", "text": "ok."})),
            stop(1),
            block(2, json!({"type": "tool_use", "id": "toolu_0", "name": WEATHER, "input": {}})),
            delta(2, json!({"type": "input_json_delta", "partial_json": "{\"city\": \"Rome\"}"})),
            stop(2),
            json!({"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": null},
                "usage": {"input_tokens": 5, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 2,
                    "output_tokens": 5, "output_tokens_details": {"thinking_tokens": 1}}}),
            json!({"type": "message_stop"}),
        ]
    );
}

#[test]
fn an_answer_ends_for_one_of_four_reasons() {
    let with_call = |reason| stream(&[call("f", json!({})), finished(reason)]);
    let without = |reason| stream(&[ChatEvent::Content("x".to_owned()), finished(reason)]);
    let end = |frames: Vec<Value>| frames[frames.len() - 2]["delta"].clone();
    let plain = |reason: &str| json!({"stop_reason": reason, "stop_sequence": null});
    assert_eq!(end(without(FinishReason::Stop)), plain("end_turn"));
    assert_eq!(end(with_call(FinishReason::Stop)), plain("tool_use"));
    assert_eq!(end(with_call(FinishReason::Cancelled)), plain("tool_use"));
    for reason in [FinishReason::Length, FinishReason::Context] {
        assert_eq!(end(without(reason)), plain("max_tokens"));
        assert_eq!(end(with_call(reason)), plain("max_tokens"));
    }
    assert_eq!(end(without(FinishReason::Cancelled)), plain("max_tokens"));
    let sequence = json!({"stop_reason": "stop_sequence", "stop_sequence": "END"});
    assert_eq!(end(without(FinishReason::StopString(0))), sequence);
}

#[test]
fn an_empty_answer_has_an_empty_text() {
    let frames = stream(&[PROGRESS, finished(FinishReason::Stop)]);
    let types: Vec<_> = frames.iter().map(|frame| frame["type"].as_str().unwrap()).collect();
    let expected = [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ];
    assert_eq!(types, expected);
    assert_eq!(frames[1]["content_block"], json!({"type": "text", "text": ""}));
    assert_eq!(frames[2]["delta"], json!({"type": "text_delta", "text": ""}));
    let reasoned = stream(&[ChatEvent::Reasoning("hm".to_owned()), finished(FinishReason::Length)]);
    assert!(reasoned.iter().all(|frame| frame["content_block"]["type"] != "text"), "{reasoned:?}");
}

#[test]
fn an_answer_has_no_reasoning_where_thinking_is_off() {
    let head = Head { thinking: false, ..head() };
    let text = ChatEvent::Content("Yes.".to_owned());
    let events = [PROGRESS, ChatEvent::Reasoning("hm".to_owned()), text, finished(FinishReason::Stop)];
    let expected = json!([{"type": "text", "text": "Yes."}]);
    assert_eq!(body(&head, &answer(&events))["content"], expected);
    assert_eq!(joined(&stream_of(head, &events))["content"], expected);
}

#[test]
fn arguments_are_an_object_in_a_stream_and_a_body() {
    for (arguments, expected) in [
        (json!({"a": 1}), json!({"a": 1})),
        (json!("{\"a\":1}"), json!({"a": 1})),
        (json!("a"), json!({})),
        (Value::Null, json!({})),
    ] {
        let events = [PROGRESS, call("f", arguments), finished(FinishReason::Stop)];
        assert_eq!(body(&head(), &answer(&events))["content"][0]["input"], expected);
        let frames = stream(&events);
        let text = frames[2]["delta"]["partial_json"].as_str().unwrap();
        assert_eq!(serde_json::from_str::<Value>(text).unwrap(), expected);
    }
}

#[test]
fn a_failure_ends_a_stream_before_and_after_it_began() {
    let failed = ChatEvent::Failed(engine::Error::Gone);
    let error = json!({"type": "error", "error": {"type": "api_error", "message": "the engine is not running"},
        "request_id": "r"});
    let frames = stream(&[PROGRESS, failed.clone(), finished(FinishReason::Stop)]);
    assert_eq!(frames[1..], [error]);
    let error = &frames[1];
    assert_eq!(stream(&[failed.clone(), failed]).iter().collect::<Vec<_>>(), [error]);
    let mut encoder = Events::new(head(), "r");
    encoder.event(&finished(FinishReason::Stop));
    assert!(encoder.fail(&ApiError::from(&engine::Error::Gone)).is_empty());
}

#[test]
fn errors_have_anthropics_types_and_statuses() {
    let overflow = ApiError::from(&engine::Error::PromptTooLong { tokens: 300, context: 256 });
    for (error, code, kind) in [
        (ApiError::from(&Refusal::Missing { field: "messages" }), 400, "invalid_request_error"),
        (overflow.clone(), 400, "invalid_request_error"),
        (ApiError::from(&engine::Error::QueueFull { capacity: 1 }), 529, "overloaded_error"),
        (ApiError::from(&engine::Error::Gone), 500, "api_error"),
        (ApiError::new(ErrorCode::InvalidGrammar, "x"), 400, "invalid_request_error"),
    ] {
        let body = error_body(&error, "r");
        assert_eq!((status(error.code), body["error"]["type"].as_str()), (code, Some(kind)));
        assert_eq!((&body["type"], &body["request_id"]), (&json!("error"), &json!("r")));
    }
    let message = error_body(&overflow, "r")["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.starts_with("prompt is too long: 300 tokens > 256 maximum"), "{message}");
}

/// The whole answer, folded from events as a session does it.
fn answer(events: &[ChatEvent]) -> Answer {
    Answer::folded(events, Vec::new())
}

/// The message that a client puts together, as Anthropic's own clients do it.
fn joined(frames: &[Value]) -> Value {
    let mut message = Value::Null;
    let mut open: Option<(usize, String)> = None;
    for frame in frames {
        let kind = frame["type"].as_str().unwrap();
        assert!(
            ["message_start", "error"].contains(&kind) || message.is_object(),
            "{kind} before the message"
        );
        match kind {
            "message_start" => message = frame["message"].clone(),
            "content_block_start" => {
                let content = message["content"].as_array_mut().unwrap();
                assert!(open.is_none());
                assert_eq!(frame["index"], json!(content.len()));
                open = Some((content.len(), String::new()));
                content.push(frame["content_block"].clone());
            }
            "content_block_delta" => {
                let (index, json) = open.as_mut().unwrap();
                assert_eq!(frame["index"], json!(index));
                let (block, delta) = (&mut message["content"][*index], &frame["delta"]);
                let mut add = |name: &str| {
                    let more = delta[name].as_str().unwrap();
                    assert!(!more.is_empty() || *index == 0 && block["text"] == "");
                    block[name] = json!(block[name].as_str().unwrap().to_owned() + more);
                };
                match delta["type"].as_str().unwrap() {
                    "text_delta" => add("text"),
                    "thinking_delta" => add("thinking"),
                    "signature_delta" => block["signature"] = delta["signature"].clone(),
                    "input_json_delta" => json.push_str(delta["partial_json"].as_str().unwrap()),
                    other => panic!("{other}"),
                }
            }
            "content_block_stop" => {
                let (index, json) = open.take().unwrap();
                assert_eq!(frame["index"], json!(index));
                if !json.is_empty() {
                    message["content"][index]["input"] = serde_json::from_str(&json).unwrap();
                }
            }
            "message_delta" => {
                assert!(open.is_none());
                for (name, value) in frame["delta"].as_object().unwrap() {
                    message[name] = value.clone();
                }
                for (name, value) in frame["usage"].as_object().unwrap() {
                    message["usage"][name] = value.clone();
                }
            }
            "message_stop" | "error" => {}
            other => panic!("{other}"),
        }
    }
    message
}

/// The same events with adjacent texts as one.
fn merged(events: &[ChatEvent]) -> Vec<ChatEvent> {
    let mut out: Vec<ChatEvent> = Vec::new();
    for event in events {
        match (out.last_mut(), event) {
            (Some(ChatEvent::Content(text)), ChatEvent::Content(more))
            | (Some(ChatEvent::Reasoning(text)), ChatEvent::Reasoning(more)) => text.push_str(more),
            _ => out.push(event.clone()),
        }
    }
    out
}

/// The same events with every text in pieces of one character.
fn cut(events: &[ChatEvent]) -> Vec<ChatEvent> {
    let pieces = |event: &ChatEvent| match event {
        ChatEvent::Content(text) => text.chars().map(|c| ChatEvent::Content(c.into())).collect(),
        ChatEvent::Reasoning(text) => text.chars().map(|c| ChatEvent::Reasoning(c.into())).collect(),
        other => vec![other.clone()],
    };
    events.iter().flat_map(pieces).collect()
}

/// Events of an answer up to its end, which is left out.
fn parts() -> impl Strategy<Value = Vec<ChatEvent>> {
    let reasoning = "[a-z é]{1,4}".prop_map(ChatEvent::Reasoning);
    let content = "[a-z é]{1,4}".prop_map(ChatEvent::Content);
    let call = ("[a-z]{1,4}", "[a-zé\"\\\\]{0,4}")
        .prop_map(|(name, text)| call(&name, json!({"a": [text, 1, null]})));
    let answer = prop::collection::vec(prop_oneof![3 => content, 1 => call], 0..9);
    (0usize..3, prop::collection::vec(reasoning, 0..4), answer).prop_map(|(progress, reasoning, answer)| {
        std::iter::repeat_n(PROGRESS, progress).chain(reasoning).chain(answer).collect()
    })
}

fn reasons() -> impl Strategy<Value = FinishReason> {
    prop::sample::select(vec![
        FinishReason::Stop,
        FinishReason::StopString(0),
        FinishReason::Length,
        FinishReason::Context,
        FinishReason::Cancelled,
    ])
}

proptest! {
    #[test]
    fn a_stream_joined_is_the_whole_body(parts in parts(), reason in reasons(), thinking in any::<bool>()) {
        let head = Head { thinking, ..head() };
        let mut events = parts;
        events.push(finished(reason));
        let whole = body(&head, &answer(&events));
        for events in [cut(&events), merged(&events), events] {
            prop_assert_eq!(&joined(&stream_of(head.clone(), &events)), &whole);
        }
    }

    #[test]
    fn a_stream_has_one_end_and_nothing_after_it(
        parts in parts(), kept in 0usize..12, reason in reasons(), fails in any::<bool>(), later in parts()
    ) {
        let end = if fails { ChatEvent::Failed(engine::Error::Gone) } else { finished(reason) };
        let mut events: Vec<ChatEvent> = parts.into_iter().take(kept).collect();
        events.push(end.clone());
        events.extend(later);
        events.push(end);
        for events in [cut(&events), merged(&events), events] {
            let frames = stream(&events);
            let is_end = |frame: &&Value| frame["type"] == "message_stop" || frame["type"] == "error";
            prop_assert_eq!(frames.iter().filter(is_end).count(), 1);
            prop_assert!(frames.last().is_some_and(|last| is_end(&last)));
            let begun = frames.iter().filter(|frame| frame["type"] == "message_start").count();
            prop_assert!(begun == 1 || (fails && begun == 0 && frames.len() == 1));
            joined(&frames);
        }
    }
}
