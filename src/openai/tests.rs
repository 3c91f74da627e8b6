//! Bodies to requests, and events to chunks.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::chat::{FunctionCall, ToolCall, ToolKind};
use crate::engine::{
    self, FinishReason, MirostatVersion, Rules, SamplerKind, Timings, Token, TokenLogprob, Usage,
};
use crate::session::{
    Answer, ChatEvent, ChatUsage, Limit, Logprobs, MirostatMode, SamplingOptions, Seed, ToolChoice,
};

fn ask(body: Value) -> Result<Asked, Refusal> {
    let Value::Object(body) = body else { panic!("a body is an object") };
    read(if body.contains_key("prompt") { Endpoint::Text } else { Endpoint::Chat }, body)
}

/// A chat with one more field.
fn with(name: &str, value: Value) -> Result<Asked, Refusal> {
    let mut body = json!({"messages": [{"role": "user", "content": "hi"}]});
    body[name] = value;
    ask(body)
}

#[test]
fn every_field_has_its_effect() {
    let asked = ask(json!({
        "messages": [{"role": "system", "content": "x"}, {"role": "user", "content": [{"type": "text", "text": "y"}]}],
        "model": "m", "user": "u", "max_completion_tokens": 7, "stop": "end", "n": 2, "seed": 3, "logprobs": true,
        "top_logprobs": 4, "tools": [{"name": "f"}], "tool_choice": "required", "reasoning_budget": 9,
        "reasoning_budget_message": "Stop.", "parallel_tool_calls": false,
        "chat_template_kwargs": {"enable_thinking": false}, "reasoning_effort": "low",
        "response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object"}}},
        "stream": true, "stream_options": {"include_usage": true}, "wish": 1,
    }))
    .unwrap();
    assert_eq!((asked.choices, asked.stream), (2, Some(Stream { include_usage: true, ..Stream::default() })));
    assert_eq!(asked.model.as_deref(), Some("m"));
    assert_eq!((asked.parallel_tool_calls, asked.continue_final), (false, None));
    assert_eq!(asked.unknown, [UnknownField { name: "wish".to_owned(), closest: None, is_known: false }]);
    let Prompt::Chat(messages) = asked.prompt else { panic!("it is a chat") };
    assert_eq!(messages.len(), 2);
    let options = asked.options;
    assert_eq!((options.seed, options.max_tokens), (Some(Seed::Fixed(3)), Some(Limit::Tokens(7))));
    assert_eq!(options.stop, Some(vec!["end".to_owned()]));
    assert_eq!(
        (options.logprobs, options.reasoning_budget),
        (Some(Logprobs::Top(4)), Some(Limit::Tokens(9)))
    );
    assert_eq!(options.reasoning_budget_message.as_deref(), Some("Stop."));
    assert_eq!(
        Value::Object(options.template_variables),
        json!({"enable_thinking": false, "reasoning_effort": "low"})
    );
    assert_eq!(options.tools, Some(vec![json!({"type": "function", "function": {"name": "f"}})]));
    assert_eq!(options.tool_choice, Some(ToolChoice::Required));
    assert_eq!(options.rules, Some(Rules::JsonSchema(json!({"type": "object"}).to_string())));
}

#[test]
fn an_absent_field_and_null_set_nothing() {
    let plain = ask(json!({"messages": [{"role": "user", "content": "hi"}]})).unwrap();
    assert_eq!(plain.options, crate::session::GenerationOptions::default());
    assert_eq!((plain.choices, plain.stream, plain.parallel_tool_calls), (1, None, true));
    for name in
        ["max_tokens", "temperature", "stop", "tools", "stream", "stream_options", "n", "seed", "logprobs"]
    {
        assert_eq!(with(name, Value::Null).unwrap(), plain, "{name}");
    }
}

#[test]
fn limits_and_choices_of_the_defaults_can_be_lifted() {
    let options = |name: &str, value: Value| with(name, value).unwrap().options;
    assert_eq!(options("max_tokens", json!(-1)).max_tokens, Some(Limit::Unlimited));
    assert_eq!(options("reasoning_budget", json!(-1)).reasoning_budget, Some(Limit::Unlimited));
    assert_eq!(options("seed", json!(-1)).seed, Some(Seed::Random));
    assert_eq!(options("logprobs", json!(false)).logprobs, Some(Logprobs::Off));
    assert_eq!(options("tool_choice", json!("none")).tool_choice, Some(ToolChoice::None));
    assert_eq!(options("top_k", json!(-1)).sampling.top_k, Some(0));
    let named = json!({"type": "function", "function": {"name": "f"}});
    assert_eq!(options("tool_choice", named).tool_choice, Some(ToolChoice::Function("f".to_owned())));
}

#[test]
fn the_last_message_of_the_assistant_can_be_continued() {
    let ask = |role: &str, more: Value| {
        let mut body =
            json!({"messages": [{"role": "user", "content": "hi"}, {"role": role, "content": "yes"}]});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        ask(body).map(|asked| asked.continue_final)
    };
    assert_eq!(ask("assistant", json!({})), Ok(None));
    assert_eq!(ask("assistant", json!({"add_generation_prompt": true})), Ok(Some(false)));
    assert_eq!(ask("assistant", json!({"continue_final_message": true})), Ok(Some(true)));
    let both = json!({"continue_final_message": true, "add_generation_prompt": false});
    assert_eq!(ask("assistant", both.clone()), Ok(Some(true)));
    assert_eq!(ask("user", both).unwrap_err().field(), "continue_final_message");
    let neither = json!({"add_generation_prompt": false});
    assert_eq!(ask("assistant", neither).unwrap_err().field(), "add_generation_prompt");
    let contradiction = json!({"continue_final_message": true, "add_generation_prompt": true});
    assert!(matches!(ask("assistant", contradiction), Err(Refusal::Conflict { .. })));
}

#[test]
fn two_efforts_that_differ_are_refused() {
    let ask = |variable: Value| {
        ask(json!({
            "messages": [{"role": "user", "content": "hi"}],
            "reasoning_effort": "high",
            "chat_template_kwargs": {"reasoning_effort": variable},
        }))
    };
    assert!(ask(json!("high")).is_ok());
    for other in [json!("low"), Value::Null] {
        assert!(matches!(ask(other), Err(Refusal::Conflict { .. })));
    }
}

#[test]
fn wrong_values_are_refused_by_name() {
    for (name, value) in [
        ("temperature", json!("hot")),
        ("temperature", json!(1e300)),
        ("top_k", json!(-2)),
        ("top_k", json!(1.5)),
        ("n", json!(0)),
        ("n", json!(129)),
        ("seed", json!(-2)),
        ("stream", json!("yes")),
        ("stream_options", json!(7)),
        ("functions", json!([{"name": "f"}])),
        ("parallel_tool_calls", json!("no")),
        ("max_tokens", json!("many")),
        ("stop", json!([1])),
        ("messages", json!([])),
        ("messages", json!("hi")),
        ("messages", json!([{"role": "nobody", "content": "x"}])),
        ("tools", json!([{}])),
        ("tool_choice", json!("any")),
        ("tool_choice", json!({"type": "function"})),
        ("tool_choice", json!({"type": "custom", "custom": {"name": "f"}})),
        ("response_format", json!({"type": "xml"})),
        ("chat_template_kwargs", json!({"messages": []})),
        ("logit_bias", json!({"a": 1})),
        ("samplers", json!(["best"])),
        ("mirostat", json!(3)),
        ("top_logprobs", json!(3)),
        ("logprobs", json!(1)),
    ] {
        assert_eq!(with(name, value.clone()).expect_err(name).field(), name, "{value}");
    }
    for (format, field) in [
        (json!({"type": "json_object", "schema": 7}), "response_format.schema"),
        (json!({"type": "json_schema", "schema": 7}), "response_format.schema"),
        (json!({"type": "json_schema", "json_schema": {"schema": 7}}), "response_format.json_schema.schema"),
    ] {
        assert_eq!(with("response_format", format).unwrap_err().field(), field);
    }
    let bare = with("response_format", json!({"type": "json_schema"})).unwrap_err();
    assert_eq!(bare.field(), "response_format.json_schema.schema");
    let usage = with("stream_options", json!({"include_usage": 1})).unwrap_err();
    assert_eq!(usage.field(), "stream_options.include_usage");
    let named = with("response_format", json!({"type": "json_schema", "json_schema": 7})).unwrap_err();
    assert_eq!(named.field(), "response_format.json_schema");
    assert!(matches!(ask(json!({})), Err(Refusal::Missing { field: "messages" })));
    let both = ask(json!({"prompt": "x", "grammar": "root ::= \"x\"", "json_schema": {}})).unwrap_err();
    assert_eq!(both.to_string(), "`grammar` and `json_schema` cannot be used together");
    assert!(ask(json!({"prompt": ["a"], "echo": false, "best_of": 1})).is_ok());
    assert_eq!(
        ask(json!({"prompt": "x", "echo": true})).unwrap_err().to_string(),
        "`echo` is `true`, expected false"
    );
}

#[test]
fn a_part_of_a_message_that_is_not_text_is_refused() {
    let ask = |part: Value| {
        with("messages", json!([{"role": "user", "content": [{"type": "text", "text": "x"}, part]}]))
    };
    for part in [
        json!({"type": "image_url", "image_url": {"url": "data:"}}),
        json!({"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}),
        json!({"type": "file", "file": {"file_id": "x"}}),
        json!({"type": "refusal", "refusal": "no"}),
        json!({"type": "thinking", "thinking": "y"}),
        json!({"image": "x.png"}),
    ] {
        assert_eq!(ask(part.clone()).expect_err("it is not text").field(), "messages", "{part}");
    }
    assert_eq!(
        ask(json!({"type": "video"})).unwrap_err().to_string(),
        "`messages` cannot be read: message 1: part 2 of `content` is `video`, expected `text`"
    );
    for part in
        [json!({"type": "text", "text": "y", "image": null}), json!({"type": "input_text", "text": "y"})]
    {
        assert!(ask(part.clone()).is_ok(), "{part}");
    }
}

#[test]
fn a_role_that_is_not_known_is_refused_by_name() {
    let expected = "expected system, developer, user, assistant or tool";
    for (message, reason) in [
        (json!({"role": "critic", "content": "x"}), format!("`role` is `critic`, {expected}")),
        (json!({"role": null, "content": "x"}), format!("`role` is `null`, {expected}")),
        (json!({"content": "x"}), "`role` is missing".to_owned()),
        (json!("x"), "it is not an object".to_owned()),
    ] {
        let error = with("messages", json!([message])).unwrap_err();
        assert_eq!(error.to_string(), format!("`messages` cannot be read: message 1: {reason}"));
    }
}

#[test]
fn a_message_without_content_is_refused_unless_it_has_calls_or_reasoning() {
    let ask = |message: Value| with("messages", json!([{"role": "user", "content": "x"}, message]));
    let call = json!([{"type": "function", "function": {"name": "f", "arguments": "{}"}}]);
    for (message, reason) in [
        (json!({"role": "user", "content": null}), "`content` is missing"),
        (json!({"role": "user"}), "`content` is missing"),
        (json!({"role": "system", "content": null}), "`content` is missing"),
        (json!({"role": "tool", "content": null, "tool_call_id": "a"}), "`content` is missing"),
        (json!({"role": "assistant", "content": null}), "`content` is missing"),
        (json!({"role": "assistant", "content": null, "reasoning": null}), "`content` is missing"),
        (json!({"role": "user", "content": null, "reasoning": "hm"}), "`content` is missing"),
        (json!({"role": "user", "content": []}), "`content` has no parts"),
        (json!({"role": "assistant", "content": null, "refusal": "no"}), "`refusal` is not supported"),
        (
            json!({"role": "assistant", "content": null, "function_call": {"name": "f", "arguments": ""}}),
            "`function_call` is not supported",
        ),
    ] {
        let expected = format!("`messages` cannot be read: message 2: {reason}");
        assert_eq!(ask(message.clone()).unwrap_err().to_string(), expected, "{message}");
    }
    for message in [
        json!({"role": "user", "content": ""}),
        json!({"role": "assistant", "content": null, "tool_calls": call}),
        json!({"role": "assistant", "content": null, "reasoning_content": "hm"}),
        json!({"role": "assistant", "content": null, "reasoning": "hm"}),
        json!({"role": "assistant", "thinking": "hm"}),
        json!({"role": "assistant", "content": "x", "refusal": null, "audio": null, "function_call": null}),
    ] {
        assert!(ask(message.clone()).is_ok(), "{message}");
    }
}

#[test]
fn no_effort_is_a_budget_of_zero_and_excludes_another() {
    let options = |more: Value| {
        let mut body = json!({"messages": [{"role": "user", "content": "x"}], "reasoning_effort": "none"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let Value::Object(body) = body else { unreachable!("it is an object") };
        read(Endpoint::Chat, body).map(|asked| asked.options.reasoning_budget)
    };
    assert_eq!(options(json!({})), Ok(Some(Limit::Tokens(0))));
    assert_eq!(options(json!({"reasoning_budget": 0})), Ok(Some(Limit::Tokens(0))));
    let kwargs = json!({"reasoning_effort": null, "chat_template_kwargs": {"reasoning_effort": "none"}});
    assert_eq!(options(kwargs), Ok(Some(Limit::Tokens(0))));
    assert_eq!(options(json!({"reasoning_effort": "low"})), Ok(None));
    let error = options(json!({"reasoning_budget": 9})).unwrap_err();
    assert_eq!(error.to_string(), "`reasoning_effort` and `reasoning_budget` cannot be used together");
}

#[test]
fn a_value_that_is_not_supported_is_named_unless_it_is_the_default() {
    let said = |name: &str, value: Value| -> Vec<String> {
        let asked = with(name, value).unwrap();
        assert_eq!(asked.unknown, []);
        asked.unsupported.iter().map(ToString::to_string).collect()
    };
    for (name, default) in [("verbosity", json!("medium")), ("modalities", json!(["text"]))] {
        assert!(said(name, default).is_empty() && said(name, Value::Null).is_empty(), "{name}");
    }
    assert_eq!(said("verbosity", json!("low")), ["`verbosity` is `low`, expected medium"]);
    assert_eq!(
        said("modalities", json!(["text", "audio"])),
        ["`modalities` is `[\"text\",\"audio\"]`, expected [\"text\"]"]
    );
}

#[test]
fn parallel_calls_can_be_forbidden() {
    let request = |parallel: Value| {
        let asked = with("parallel_tool_calls", parallel).unwrap();
        assert!(asked.unsupported.is_empty());
        asked.chat_request(0).parallel_tool_calls
    };
    assert_eq!([json!(false), json!(true), Value::Null].map(request), [false, true, true]);
}

#[test]
fn names_of_one_limit_have_the_same_value_or_are_refused() {
    let limits = |more: Value| {
        let mut body = json!({"messages": [{"role": "user", "content": "x"}]});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        ask(body).map(|asked| (asked.options.max_tokens, asked.options.reasoning_budget))
    };
    let seven = Some(Limit::Tokens(7));
    let same = json!({"n_predict": 7, "max_tokens": 7, "max_completion_tokens": 7});
    assert_eq!(limits(same), Ok((seven, None)));
    assert_eq!(limits(json!({"max_tokens": null, "max_completion_tokens": 7})), Ok((seven, None)));
    assert_eq!(limits(json!({"reasoning_budget": 7, "thinking_budget_tokens": 7.0})), Ok((None, seven)));
    for (names, first, second) in [
        (["max_completion_tokens", "max_tokens"], 100, 7),
        (["n_predict", "max_tokens"], -1, 7),
        (["reasoning_budget", "thinking_budget_tokens"], 0, -1),
    ] {
        let error = limits(json!({names[0]: first, names[1]: second})).unwrap_err().to_string();
        assert!(error.ends_with("cannot be used together"), "{error}");
        assert!(names.iter().all(|name| error.contains(&format!("`{name}`"))), "{error}");
    }
}

#[test]
fn an_unknown_field_has_the_closest_known_name() {
    let asked = with("max_complettion_tokens", json!(1)).unwrap();
    assert_eq!(asked.unknown[0].closest, Some("max_completion_tokens"));
}

#[test]
fn an_unknown_field_of_an_object_within_the_body_is_named_with_its_place() {
    let unknown = |name: &str, value: Value| -> Vec<String> {
        with(name, value).unwrap().unknown.iter().map(ToString::to_string).collect()
    };
    assert_eq!(
        unknown("stream_options", json!({"include_usge": true, "include_obfuscation": false})),
        ["unknown field `stream_options.include_usge`; did you mean `include_usage`?"]
    );
    let schema = json!({"type": "object"});
    for (format, expected) in [
        (json!({"type": "text"}), vec![]),
        (json!({"type": "text", "schema": schema}), vec!["schema"]),
        (json!({"type": "json_object", "schema": null}), vec![]),
        (json!({"type": "json_object", "json_schema": {"schema": schema}}), vec!["json_schema"]),
        (
            json!({"type": "json_schema", "json_schema": {"name": "s", "description": "d", "strict": true, "schema": schema}}),
            vec![],
        ),
        (json!({"type": "json_schema", "name": "s", "strict": true, "schema": schema}), vec![]),
        (
            json!({"type": "json_schema", "schema": true, "json_schema": {"wish": 1, "schema": schema}, "more": 2}),
            vec!["schema", "more", "json_schema.wish"],
        ),
    ] {
        let expected: Vec<_> =
            expected.iter().map(|name| format!("unknown field `response_format.{name}`")).collect();
        let found = unknown("response_format", format.clone());
        let bare: Vec<_> = found.iter().map(|text| text.split(';').next().unwrap()).collect();
        assert_eq!(bare, expected, "{format}");
    }
    let error = with("response_format", json!({"type": "json_schema", "json_schema": 7})).unwrap_err();
    assert_eq!(error.to_string(), "`response_format.json_schema` is `7`, expected an object");
}

prop_compose! {
    fn options()(
        numbers in prop::array::uniform16(prop::option::of(-2f32..2.0)),
        counts in prop::array::uniform2(prop::option::of(any::<u32>())),
        limits in prop::array::uniform2(prop::option::of(prop::option::of(any::<u32>()))),
        ignore_end in any::<Option<bool>>(),
        biases in prop::collection::vec((any::<i32>(), prop::option::of(-9f32..9.0)), 0..4),
        order in prop::option::of(
            prop::collection::vec(prop::sample::select(SamplerKind::DEFAULT_ORDER.to_vec()), 0..9)
        ),
        dry_breakers in prop::option::of(prop::collection::vec(".*", 0..3)),
        mirostat in prop::option::of(0u64..3),
    ) -> SamplingOptions {
        let mut options = SamplingOptions { dry_breakers, ignore_end, order, ..SamplingOptions::default() };
        [options.temperature, options.temperature_range, options.temperature_exponent, options.top_p, ..] = numbers;
        [.., options.min_p, options.typical_p, options.top_n_sigma, options.repeat_penalty] = numbers;
        let [_, _, _, _, presence, frequency, xtc, threshold, multiplier, base, tau, eta, ..] = numbers;
        (options.presence_penalty, options.frequency_penalty) = (presence, frequency);
        (options.xtc_probability, options.xtc_threshold) = (xtc, threshold);
        (options.dry_multiplier, options.dry_base) = (multiplier, base);
        (options.mirostat_tau, options.mirostat_eta) = (tau, eta);
        [options.top_k, options.dry_allowed_length] = counts;
        [options.repeat_last_n, options.dry_last_n] = limits.map(|limit| limit.map(Limit::from));
        let bias = |(token, bias): (i32, Option<f32>)| (Token(token), bias.unwrap_or(f32::NEG_INFINITY));
        options.logit_bias = biases.into_iter().map(bias).collect();
        options.mirostat = mirostat.and_then(MirostatMode::from_number);
        options
    }
}

/// Events of one answer, and the logprobs that come with each; the terminal one is added.
fn events() -> impl Strategy<Value = Vec<(ChatEvent, Vec<TokenLogprob>)>> {
    let event = prop_oneof![
        "[a-zé]{1,4}".prop_map(ChatEvent::Reasoning),
        "[a-zé]{1,4}".prop_map(ChatEvent::Content),
        "[a-z]{1,4}".prop_map(|name| {
            let function = FunctionCall { name, arguments: json!({"a": 1}) };
            ChatEvent::ToolCall(ToolCall {
                id: Some("call_0".to_owned()),
                kind: ToolKind::Function,
                function,
            })
        }),
    ];
    let token = (97i32..110, -9f32..0.0).prop_map(|(token, logprob)| TokenLogprob {
        token: Token(token),
        logprob,
        top: vec![(Token(token), logprob)],
    });
    prop::collection::vec((event, prop::collection::vec(token, 0..3)), 0..6)
}

fn end(written: u32) -> ChatEvent {
    let total = Usage { prompt_tokens: 7, reused_tokens: 2, completion_tokens: written };
    let timings = Timings {
        queued: Duration::ZERO,
        prefill: Duration::from_millis(100),
        decode: Duration::from_millis(500),
    };
    ChatEvent::Finished {
        reason: FinishReason::Stop,
        usage: ChatUsage { total, reasoning_tokens: 1 },
        timings,
    }
}

fn head(endpoint: Endpoint) -> Head<'static> {
    Head { endpoint, id: "x".into(), created: 5, model: "m".into(), fingerprint: "f".into() }
}

fn piece(token: Token) -> Vec<u8> {
    vec![u8::try_from(token.0).unwrap()]
}

/// The whole answer, folded from events as a session does it.
fn answer(events: &[(ChatEvent, Vec<TokenLogprob>)], written: u32) -> Answer {
    let logprobs = events.iter().flat_map(|(_, logprobs)| logprobs.clone()).collect();
    let events = events.iter().map(|(event, _)| event.clone()).chain([end(written)]);
    Answer::folded(&events.collect::<Vec<_>>(), logprobs)
}

/// The choice that a client puts together from chunks.
fn joined(chunks: &[Value], index: usize, endpoint: Endpoint) -> Value {
    let add = |whole: &mut Value, key: &str, more: &Value| {
        let text = whole[key].as_str().unwrap_or_default().to_owned() + more.as_str().unwrap();
        whole[key] = json!(text);
    };
    let (mut message, mut choice, mut logprobs) = (json!({}), json!({ "index": index }), Map::new());
    for part in chunks.iter().flat_map(|chunk| chunk["choices"].as_array().unwrap()) {
        if part["index"] != json!(index) {
            continue;
        }
        choice["finish_reason"] = part["finish_reason"].clone();
        for (name, list) in part["logprobs"].as_object().into_iter().flatten() {
            let all = logprobs.entry(name).or_insert(Value::Null);
            match (all, list) {
                (Value::Array(all), Value::Array(list)) => all.extend(list.clone()),
                (all, list) => *all = list.clone(),
            }
        }
        if endpoint == Endpoint::Text {
            add(&mut choice, "text", &part["text"]);
            continue;
        }
        for (name, value) in part["delta"].as_object().unwrap() {
            match (name.as_str(), value) {
                ("content" | "reasoning_content", Value::String(text)) => {
                    assert!(!text.is_empty() && part["delta"].get("role").is_none());
                    add(&mut message, name, value);
                }
                ("tool_calls", Value::Array(calls)) => {
                    let all = message["tool_calls"].as_array().cloned().unwrap_or_default();
                    let mut call = calls[0].clone();
                    assert_eq!(call.as_object_mut().unwrap().remove("index"), Some(json!(all.len())));
                    message["tool_calls"] = all.into_iter().chain([call]).collect();
                }
                _ => message[name] = value.clone(),
            }
        }
    }
    if endpoint == Endpoint::Chat {
        if message["content"].is_null() && message.get("tool_calls").is_none() {
            message["content"] = json!("");
        }
        choice["message"] = message;
    }
    choice["logprobs"] = if logprobs.is_empty() { Value::Null } else { Value::Object(logprobs) };
    choice
}

proptest! {
    #[test]
    fn sampling_that_was_written_is_read_again(options in options()) {
        let mut body = write_sampling(&options);
        body.insert("prompt".to_owned(), json!("x"));
        let text = Value::Object(body).to_string();
        let asked = ask(serde_json::from_str(&text).unwrap()).unwrap();
        prop_assert_eq!(asked.options.sampling, options);
        prop_assert!(asked.unknown.is_empty());
    }

    #[test]
    fn chunks_joined_are_the_whole_body(
        answers in prop::collection::vec(events(), 1..3),
        include_usage in any::<bool>(),
        wanted in any::<bool>(),
        text in any::<bool>(),
    ) {
        let endpoint = if text { Endpoint::Text } else { Endpoint::Chat };
        let mut answers = answers;
        if text {
            // A continuation is all content.
            for events in &mut answers {
                events.retain(|(event, _)| matches!(event, ChatEvent::Content(_)));
            }
        }
        let count = u32::try_from(answers.len()).unwrap();
        let stream = Stream { include_usage, ..Stream::default() };
        let mut chunks = Chunks::new(head(endpoint), stream, count, wanted.then(|| Arc::new(piece) as Piece));
        let mut all = chunks.begin();
        let longest = answers.iter().map(Vec::len).max().unwrap();
        for at in 0..=longest {
            for (index, events) in answers.iter().enumerate() {
                match events.get(at) {
                    Some((event, logprobs)) => all.extend(chunks.event(index, event, logprobs)),
                    None if at == events.len() => all.extend(chunks.event(index, &end(9), &[])),
                    None => {}
                }
            }
        }
        let choices: Vec<Choice> = answers.iter().map(|events| {
            let answer = answer(events, 9);
            let tokens = &answer.logprobs;
            let logprobs = if wanted && !tokens.is_empty() { logprobs(endpoint, tokens, 0, &piece) } else { Value::Null };
            Choice { answer, seed: 0, logprobs }
        }).collect();
        let whole = body(&head(endpoint), &choices, count);
        for (index, choice) in whole["choices"].as_array().unwrap().iter().enumerate() {
            prop_assert_eq!(&joined(&all, index, endpoint), choice);
        }
        let last = all.last().unwrap();
        for chunk in &all {
            prop_assert_eq!([&chunk["id"], &chunk["created"], &chunk["model"]], [&whole["id"], &whole["created"], &whole["model"]]);
            prop_assert_eq!(chunk.get("usage").is_some(), include_usage);
            prop_assert_eq!(chunk["choices"].as_array().unwrap().is_empty(), include_usage && chunk == last);
        }
        if include_usage {
            prop_assert_eq!([&last["usage"], &last["timings"]], [&whole["usage"], &whole["timings"]]);
        } else {
            prop_assert!(last["timings"]["predicted_ms"].is_number());
        }
    }
}

#[test]
fn a_stream_of_a_chat_begins_with_the_role_and_ends_with_the_reason() {
    let mut chunks = Chunks::new(head(Endpoint::Chat), Stream::default(), 1, None);
    let begin = chunks.begin();
    assert_eq!(
        begin,
        [json!({
            "id": "chatcmpl-x", "object": "chat.completion.chunk", "created": 5, "model": "m", "system_fingerprint": "f",
            "choices": [{"index": 0, "delta": {"role": "assistant", "content": null}, "logprobs": null,
                "finish_reason": null}],
        })]
    );
    let function = FunctionCall { name: "f".to_owned(), arguments: json!({}) };
    let call = ToolCall { id: Some("call_7".to_owned()), kind: ToolKind::Function, function };
    let found = chunks.event(0, &ChatEvent::ToolCall(call), &[]);
    assert_eq!(
        found[0]["choices"][0]["delta"]["tool_calls"],
        json!([{"id": "call_7", "type": "function", "function": {"name": "f", "arguments": "{}"}, "index": 0}])
    );
    let end = chunks.event(0, &end(3), &[]);
    assert_eq!(end[0]["choices"][0]["finish_reason"], "tool_calls");
    assert_eq!(end[0]["choices"][0]["delta"], json!({}));
}

#[test]
fn a_list_of_prompts_has_answers_in_order_and_few_in_all() {
    let asked = ask(json!({"prompt": ["a", [1, 2]], "n": 2})).unwrap();
    let Prompt::Text(texts) = asked.prompt else { panic!("they are texts") };
    assert_eq!((texts.len(), asked.choices), (2, 2));
    assert_eq!(texts[0].as_text(), Some("a"));
    assert!(ask(json!({"prompt": vec!["a"; 64], "n": 2})).is_ok());
    assert_eq!(ask(json!({"prompt": vec!["a"; 65], "n": 2})).unwrap_err().field(), "prompt");
    assert_eq!(ask(json!({"prompt": "a", "n": 129})).unwrap_err().field(), "n");
}

#[test]
fn a_prompt_is_shown_at_the_end_of_the_first_answer_to_it() {
    let prompts = ["a", "b"].map(str::to_owned).to_vec();
    let chunks = Chunks::new(head(Endpoint::Text), Stream::default(), 4, None);
    let mut chunks = chunks.per_prompt(2).showing(prompts);
    let shown: Vec<Value> =
        (0..4).map(|index| chunks.event(index, &end(9), &[])[0]["__verbose"].clone()).collect();
    assert_eq!(shown, [json!({"prompt": "a"}), Value::Null, json!({"prompt": "b"}), Value::Null]);
}

#[test]
fn schemas_of_tools_are_strict_only_in_calls_that_are_forced() {
    let ask = |choice: &str| {
        let tools = json!([{"type": "function", "function": {"name": "f", "strict": true}}]);
        let messages = json!([{"role": "user", "content": "hi"}]);
        ask(json!({"messages": messages, "tools": tools, "tool_choice": choice})).unwrap().unknown
    };
    assert_eq!(ask("auto"), [UnknownField::unsupported("tools.strict")]);
    assert_eq!(ask("auto")[0].ignored(), "`tools.strict` is not supported; ignored");
    assert_eq!(ask("required"), []);
}

#[test]
fn functions_of_the_old_api_are_refused_by_name() {
    let refused = with("functions", json!([{"name": "f", "parameters": {}}])).unwrap_err();
    assert_eq!(refused.field(), "functions");
    assert!(refused.to_string().ends_with("expected an empty list: functions are given in `tools`"));
    assert_eq!(with("functions", json!([])).unwrap().unknown, []);
}

#[test]
fn each_prompt_is_counted_once() {
    let choice = || Choice { answer: answer(&[], 9), seed: 0, logprobs: Value::Null };
    let choices: Vec<Choice> = (0..4).map(|_| choice()).collect();
    let counts = |per_prompt| {
        let whole = body(&head(Endpoint::Text), &choices, per_prompt);
        let stream = Stream { include_usage: true, ..Stream::default() };
        let mut chunks = Chunks::new(head(Endpoint::Text), stream, 4, None).per_prompt(per_prompt);
        let last = (0..4).flat_map(|index| chunks.event(index, &end(9), &[])).last().unwrap();
        assert_eq!([&last["usage"], &last["timings"]], [&whole["usage"], &whole["timings"]]);
        let number = |value: &Value| value.as_u64().unwrap();
        let cached = &whole["usage"]["prompt_tokens_details"]["cached_tokens"];
        assert_eq!(whole["timings"]["cache_n"], *cached);
        assert_eq!(
            (number(&whole["usage"]["completion_tokens"]), number(&whole["timings"]["predicted_n"])),
            (36, 36)
        );
        (number(&whole["usage"]["prompt_tokens"]), number(cached), number(&whole["timings"]["prompt_n"]))
    };
    assert_eq!((counts(4), counts(2), counts(1)), ((7, 2, 5), (14, 4, 10), (28, 8, 20)));
}

#[test]
fn timings_are_numbers_even_if_nothing_was_read_or_written() {
    let all = timings(&[(ChatUsage::default(), Timings::default())], 1);
    for (name, value) in all.as_object().unwrap() {
        assert!(value.as_f64().is_some_and(f64::is_finite), "{name}: {value}");
    }
    assert_eq!(timings(&[], 1), all);
}

#[test]
fn a_failure_in_a_stream_is_an_error() {
    let mut chunks = Chunks::new(head(Endpoint::Text), Stream::default(), 1, None);
    let failed = chunks.event(0, &ChatEvent::Failed(engine::Error::Gone), &[]);
    assert_eq!(failed[0]["error"]["code"], "engine_error");
}

#[test]
fn mirostat_is_written_as_a_number() {
    let options = SamplingOptions {
        mirostat: Some(MirostatMode::On(MirostatVersion::V1)),
        ..SamplingOptions::default()
    };
    assert_eq!(Value::Object(write_sampling(&options)), json!({"mirostat": 1}));
}
