//! Bodies to requests, and events to events of a response.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::chat::{Content, FunctionCall, Message, Role, ToolCall, ToolKind};
use crate::engine::{self, FinishReason, Rules, Timings, Usage};
use crate::openai::{Prompt, Refusal, UnknownField};
use crate::session::{Answer, ChatEvent, ChatUsage, Limit, Seed, ToolChoice};

fn ask(body: Value) -> Result<AskedResponse, Refusal> {
    let Value::Object(body) = body else { panic!("a body is an object") };
    read(body)
}

/// A request with one more field.
fn with(name: &str, value: Value) -> Result<AskedResponse, Refusal> {
    let mut body = json!({"input": "hi"});
    body[name] = value;
    ask(body)
}

fn messages(input: Value) -> Vec<Message> {
    let Prompt::Chat(messages) = with("input", input).unwrap().asked.prompt else { panic!("it is a chat") };
    messages
}

fn ignored(asked: &AskedResponse) -> Vec<&str> {
    asked.asked.unknown.iter().map(|field| field.name.as_str()).collect()
}

#[test]
fn every_field_has_its_effect() {
    let body = json!({
        "model": "m", "input": "hi", "instructions": "Be short.", "max_output_tokens": 7, "temperature": 0.5,
        "top_p": 0.9, "seed": 3, "stop": "end", "parallel_tool_calls": false, "user": "u",
        "tools": [{"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}, "strict": true}],
        "tool_choice": {"type": "function", "name": "f"},
        "reasoning": {"effort": "low", "summary": "auto"}, "chat_template_kwargs": {"mood": 1},
        "reasoning_budget": 9, "text": {"format": {"type": "text"}, "verbosity": "medium"},
        "stream": true, "return_progress": true, "store": true, "metadata": {"a": "b"},
        "include": ["reasoning.encrypted_content"], "prompt_cache_key": "k", "truncation": "disabled",
        "background": false, "service_tier": "auto", "client_metadata": {}, "safety_identifier": "s",
    });
    let AskedResponse { asked, repeated, carries_reasoning } = ask(body).unwrap();
    assert!(carries_reasoning);
    assert_eq!(asked.unknown, []);
    let Prompt::Chat(messages) = asked.prompt else { panic!("it is a chat") };
    assert_eq!(messages, [Message::new(Role::System, "Be short."), Message::new(Role::User, "hi")]);
    let options = asked.options;
    assert_eq!((options.max_tokens, options.seed), (Some(Limit::Tokens(7)), Some(Seed::Fixed(3))));
    assert_eq!((options.sampling.temperature, options.sampling.top_p), (Some(0.5), Some(0.9)));
    assert_eq!(
        (options.stop, options.reasoning_budget),
        (Some(vec!["end".to_owned()]), Some(Limit::Tokens(9)))
    );
    let function = json!({"name": "f", "description": "d", "parameters": {"type": "object"}, "strict": true});
    assert_eq!(options.tools, Some(vec![json!({"type": "function", "function": function})]));
    assert_eq!(options.tool_choice, Some(ToolChoice::Function("f".to_owned())));
    assert_eq!(Value::Object(options.template_variables), json!({"mood": 1, "reasoning_effort": "low"}));
    assert!(asked.stream.is_some() && !asked.parallel_tool_calls);
    assert_eq!(asked.model.as_deref(), Some("m"));
    for (name, value) in [
        ("instructions", json!("Be short.")),
        ("max_output_tokens", json!(7)),
        ("temperature", json!(0.5)),
        ("metadata", json!({"a": "b"})),
        ("parallel_tool_calls", json!(false)),
        ("reasoning", json!({"effort": "low", "summary": null})),
        ("text", json!({"format": {"type": "text"}})),
        ("tool_choice", json!({"type": "function", "name": "f"})),
    ] {
        assert_eq!(repeated[name], value, "{name}");
    }
    assert_eq!(repeated["tools"][0]["name"], "f");
}

#[test]
fn an_absent_field_and_null_set_nothing() {
    let plain = ask(json!({"input": "hi"})).unwrap();
    assert_eq!(plain.asked.options, crate::session::GenerationOptions::default());
    assert_eq!(
        (plain.repeated["tools"].clone(), plain.repeated["tool_choice"].clone()),
        (json!([]), json!("auto"))
    );
    for name in [
        "instructions",
        "tools",
        "tool_choice",
        "text",
        "reasoning",
        "max_output_tokens",
        "stream",
        "store",
        "include",
        "truncation",
        "background",
        "previous_response_id",
        "conversation",
        "prompt",
        "metadata",
        "top_logprobs",
        "temperature",
        "parallel_tool_calls",
    ] {
        assert_eq!(with(name, Value::Null).unwrap(), plain, "{name}");
    }
}

#[test]
fn what_cannot_be_honored_is_refused_by_name() {
    for (name, value) in [
        ("previous_response_id", json!("resp_1")),
        ("conversation", json!({"id": "conv_1"})),
        ("prompt", json!({"id": "pmpt_1"})),
        ("background", json!(true)),
        ("truncation", json!("auto")),
        ("include", json!(["message.output_text.logprobs"])),
        ("top_logprobs", json!(2)),
        ("max_output_tokens", json!("many")),
        ("instructions", json!([])),
        ("input", json!(7)),
        ("input", json!([])),
        ("input", json!(["hi"])),
        ("tools", json!([7])),
        ("tools", json!([{"type": 7}])),
        ("tools", json!([{"type": "function"}])),
        ("tool_choice", json!("some")),
        ("tool_choice", json!({"type": "web_search"})),
        ("tool_choice", json!({"type": "function"})),
        ("tool_choice", json!({"type": "allowed_tools", "mode": "none", "tools": []})),
        ("text", json!([])),
    ] {
        assert_eq!(with(name, value.clone()).unwrap_err().field(), name, "{value}");
    }
    for (name, value, field) in [
        ("text", json!({"format": {"type": "xml"}}), "text.format"),
        ("text", json!({"format": []}), "text.format"),
        ("text", json!({"format": {"type": 7}}), "text.format.type"),
        ("text", json!({"verbosity": 7}), "text.verbosity"),
        ("text", json!({"format": {"type": "json_schema"}}), "text.format.schema"),
        ("text", json!({"format": {"type": "json_schema", "schema": 7}}), "text.format.schema"),
        ("reasoning", json!({"effort": 7}), "reasoning.effort"),
    ] {
        assert_eq!(with(name, value.clone()).unwrap_err().field(), field, "{value}");
    }
    assert_eq!(ask(json!({})).unwrap_err(), Refusal::Missing { field: "input" });
    let empty = ask(json!({"instructions": "Be brief.", "input": []})).unwrap_err();
    assert_eq!(empty.to_string(), "`input` is `[]`, expected at least one message");
    let number = with("input", json!(0)).unwrap_err();
    assert_eq!(number.to_string(), "`input` is `0`, expected text or a list of items");
    let useless = ask(json!({"instructions": "x", "input": [{"type": "local_shell_call"}]})).unwrap_err();
    assert_eq!(useless.to_string(), "`input` cannot be read: none of its items is a part of a message");
    let both =
        json!({"input": "hi", "grammar": "root ::= \"a\"", "text": {"format": {"type": "json_object"}}});
    assert_eq!(ask(both).unwrap_err(), Refusal::Conflict { field: "grammar", other: "text.format" });
    let efforts = json!({"input": "hi", "reasoning": {"effort": "none"}, "reasoning_budget": 5});
    let expected = Refusal::Conflict { field: "reasoning.effort", other: "reasoning_budget" };
    assert_eq!(ask(efforts).unwrap_err(), expected);
}

#[test]
fn a_format_is_a_schema() {
    let rules = |format: Value| with("text", json!({ "format": format })).unwrap().asked.options.rules;
    assert_eq!(rules(json!({"type": "text"})), None);
    let object = || Some(Rules::JsonSchema(json!({"type": "object"}).to_string()));
    assert_eq!(rules(json!({"type": "json_object"})), object());
    let named = json!({"type": "json_schema", "name": "n", "strict": true, "schema": {"type": "object"}});
    assert_eq!(rules(named.clone()), object());
    assert_eq!(with("text", json!({ "format": named })).unwrap().repeated["text"]["format"], named);
}

#[test]
fn items_that_are_not_for_this_server_are_dropped_and_reported_once() {
    let asked = ask(json!({
        "input": [
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]},
            {"type": "local_shell_call", "id": "l", "call_id": "c"},
            {"type": "local_shell_call", "id": "m", "call_id": "d"},
            {"type": "reasoning", "id": "r", "summary": [], "encrypted_content": "x"},
        ],
        "tools": [
            {"type": "custom", "name": "apply_patch", "format": {}}, {"type": "web_search"},
            {"type": "namespace", "name": "n", "tools": []}, {"type": "local_shell"},
            {"type": "function", "name": "f", "defer_loading": true},
        ],
        "text": {"verbosity": "low"}, "reasoning": {"context": "auto"}, "wish": 1,
    }))
    .unwrap();
    assert_eq!(
        ignored(&asked),
        [
            "wish",
            "reasoning.context",
            "input.local_shell_call",
            "input.reasoning",
            "text.verbosity",
            "tools.custom",
            "tools.defer_loading",
            "tools.local_shell",
            "tools.namespace",
            "tools.web_search",
        ]
    );
    assert_eq!(asked.asked.options.tools.unwrap().len(), 1);
    assert_eq!(asked.repeated["tools"].as_array().unwrap().len(), 1);
    let kinds: Vec<Value> = (0..1000).map(|n| json!({"type": format!("{n}{}", "x".repeat(1000))})).collect();
    let many = ask(json!({"input": "hi", "tools": kinds})).unwrap().asked.unknown;
    assert_eq!(many.len(), 32);
    assert!(many.iter().all(|UnknownField { name, .. }| name.len() <= 64));
}

#[test]
fn tools_may_have_the_form_of_chat_completions() {
    let tools = json!([{"type": "function", "function": {"name": "f"}}]);
    let asked = with("tools", tools.clone()).unwrap();
    assert_eq!(asked.asked.options.tools, Some(tools.as_array().unwrap().clone()));
    let shown = json!([{"type": "function", "parameters": null, "strict": null, "name": "f"}]);
    assert_eq!(asked.repeated["tools"], shown);
    let bare = with("tools", json!([{"name": "f"}])).unwrap();
    assert_eq!((bare.asked.options.tools, &bare.repeated["tools"]), (asked.asked.options.tools, &shown));
    let choice = json!({"type": "function", "function": {"name": "f"}});
    let repeated = with("tool_choice", choice).unwrap().repeated;
    assert_eq!(repeated["tool_choice"], json!({"type": "function", "name": "f"}));
}

#[test]
fn allowed_tools_leave_the_others_out() {
    let body = json!({
        "input": "hi", "tools": [{"type": "function", "name": "f"}, {"type": "function", "name": "g"}],
        "tool_choice": {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "g"}]},
    });
    let options = ask(body).unwrap().asked.options;
    assert_eq!(options.tool_choice, Some(ToolChoice::Required));
    assert_eq!(options.tools, Some(vec![json!({"type": "function", "function": {"name": "g"}})]));
}

#[test]
fn allowed_tools_must_be_functions_of_the_request_and_are_named_in_either_form() {
    let allowed = |tools: Value| {
        ask(json!({
            "input": "hi", "tools": [{"type": "function", "name": "f"}, {"type": "function", "name": "g"}],
            "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": tools},
        }))
    };
    let nested = allowed(json!([{"type": "function", "function": {"name": "g"}}])).unwrap();
    assert_eq!(nested.asked.options.tools.unwrap().len(), 1);
    let inner = json!([{"type": "function", "function": {"name": "g", "wish": 1}}]);
    assert_eq!(ignored(&allowed(inner).unwrap()), ["tool_choice.tools.function.wish"]);
    let hosted = allowed(json!([{"type": "function", "name": "f"}, {"type": "web_search"}])).unwrap();
    assert_eq!(ignored(&hosted), ["tool_choice.tools.web_search"]);
    for tools in [json!([{"type": "function", "name": "h"}]), json!([7]), json!([{}]), json!("f")] {
        assert_eq!(allowed(tools.clone()).unwrap_err().field(), "tool_choice.tools", "{tools}");
    }
}

#[test]
fn what_items_tools_and_choices_have_besides_is_named_once() {
    let function = json!({"type": "function", "function": {"name": "f"}, "wish": 1});
    let part = json!({"type": "input_text", "text": "hi", "tone": 4});
    let output = json!({"type": "function_call_output", "call_id": "c", "output": "x", "mood": 2});
    let asked = ask(json!({
        "input": [{"role": "user", "content": [part, part]}, output, output],
        "tools": [function, function], "tool_choice": {"type": "function", "name": "f", "hope": 3},
    }))
    .unwrap();
    assert_eq!(ignored(&asked), ["tool_choice.hope", "input.content.tone", "input.mood", "tools.wish"]);
}

#[test]
fn schemas_of_tools_are_strict_only_in_calls_that_are_forced() {
    let ask = |choice: Value| {
        let tools = json!([{"type": "function", "name": "f", "strict": true}]);
        ask(json!({"input": "hi", "tools": tools, "tool_choice": choice})).unwrap()
    };
    assert_eq!(ignored(&ask(json!("auto"))), ["tools.strict"]);
    assert_eq!(ignored(&ask(json!("required"))), [""; 0]);
}

#[test]
fn the_items_of_one_turn_become_one_message() {
    let found = messages(json!([
        {"role": "developer", "content": "d"},
        {"role": "user", "content": [{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}]},
        {"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]},
        {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
         "content": [{"type": "output_text", "text": "Look.", "annotations": []}]},
        {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "arguments": "{\"a\": 1}"},
        {"type": "function_call", "id": "fc_2", "call_id": "c2", "name": "g", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "one"},
        {"type": "function_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "two"}]},
        {"type": "reasoning", "id": "rs_2", "content": [{"type": "reasoning_text", "text": "so"}]},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Done."}]},
        {"role": "user", "content": "thanks"},
    ]));
    let call = |id: &str, name: &str, arguments: &str| ToolCall {
        id: Some(id.to_owned()),
        kind: ToolKind::Function,
        function: FunctionCall { name: name.to_owned(), arguments: json!(arguments) },
    };
    let text = |text: &str| json!({"type": "text", "text": text});
    let output = |id: &str, text: &str| Message {
        tool_call_id: Some(id.to_owned()),
        ..Message::new(Role::Tool, text)
    };
    let thought = |text: &str, content: &str| Message {
        reasoning_content: Some(text.to_owned()),
        ..Message::new(Role::Assistant, content)
    };
    let expected = [
        Message::new(Role::Developer, "d"),
        Message { content: Content::Parts(vec![text("a"), text("b")]), ..Message::new(Role::User, "") },
        Message {
            tool_calls: vec![call("c1", "f", "{\"a\": 1}"), call("c2", "g", "{}")],
            ..thought("hm", "Look.")
        },
        output("c1", "one"),
        output("c2", "two"),
        thought("so", "Done."),
        Message::new(Role::User, "thanks"),
    ];
    assert_eq!(found, expected);
}

#[test]
fn turns_without_a_message_between_them_are_told_apart_by_their_reasoning() {
    let found = messages(json!([
        {"role": "assistant", "content": "a"},
        {"type": "reasoning", "content": [{"type": "reasoning_text", "text": "b"}]},
        {"type": "reasoning", "content": [{"type": "reasoning_text", "text": "c"}]},
        {"role": "assistant", "content": "d"},
        {"role": "assistant", "content": "e"},
    ]));
    let second =
        Message { reasoning_content: Some("b\nc".to_owned()), ..Message::new(Role::Assistant, "d\ne") };
    assert_eq!(found, [Message::new(Role::Assistant, "a"), second]);
}

#[test]
fn wrong_items_are_refused_by_number() {
    let parts = |part: Value| json!([part]);
    for (item, reason) in [
        (
            json!({"role": "tool", "content": "x"}),
            "`role` is `tool`, expected user, system, developer or assistant",
        ),
        (json!({"type": "message", "content": "x"}), "`role` is missing"),
        (json!({"role": "user"}), "`content` is missing"),
        (json!({"role": "user", "content": 7}), "`content` is `7`, expected text or a list of parts"),
        (json!({"role": "user", "content": []}), "`content` has no parts"),
        (
            json!({"role": "user", "content": parts(json!({"type": "input_image", "image_url": "x"}))}),
            "part 1 of `content` is `image_url`, expected text",
        ),
        (
            json!({"type": "function_call_output", "call_id": "c", "output": parts(json!({"type": "input_file"}))}),
            "part 1 of `output` is `input_file`, expected text",
        ),
        (json!({"type": "function_call_output", "output": "x"}), "`call_id` is missing"),
        (json!({"type": "function_call", "call_id": "c", "name": "f"}), "`arguments` is missing"),
        (
            json!({"type": "function_call", "call_id": "c", "name": "f", "arguments": {}}),
            "`arguments` is `{}`, expected a string",
        ),
        (json!({"type": "reasoning", "content": "x"}), "`content` is `x`, expected a list"),
        (json!({"type": "reasoning", "content": [7]}), "a part of `content` has no text"),
        (json!({"id": "msg_1"}), "it refers to a stored item, but nothing is stored: send the item"),
        (
            json!({"type": "item_reference", "id": "msg_1"}),
            "it refers to a stored item, but nothing is stored: send the item",
        ),
        (json!({}), "`type` is missing"),
        (json!({"type": 7}), "`type` is `7`, expected a string"),
    ] {
        let error = with("input", json!([{"role": "user", "content": "hi"}, item])).unwrap_err();
        assert_eq!(error.to_string(), format!("`input` cannot be read: item 2: {reason}"), "{item}");
    }
}

fn head(progress: bool) -> ResponseHead {
    let repeated =
        Map::from_iter([("tools".to_owned(), json!([])), ("tool_choice".to_owned(), json!("auto"))]);
    ResponseHead {
        id: "x".to_owned(),
        created: 5,
        model: "m".to_owned(),
        repeated,
        progress,
        carries_reasoning: false,
    }
}

fn end(reason: FinishReason) -> ChatEvent {
    let total = Usage { prompt_tokens: 7, reused_tokens: 2, completion_tokens: 9 };
    let timings = Timings {
        queued: Duration::from_millis(500),
        prefill: Duration::from_secs(1),
        decode: Duration::from_secs(2),
    };
    ChatEvent::Finished { reason, usage: ChatUsage { total, reasoning_tokens: 1 }, timings }
}

fn call(name: &str) -> ChatEvent {
    let function = FunctionCall { name: name.to_owned(), arguments: json!({"a": 1}) };
    ChatEvent::ToolCall(ToolCall { id: Some(format!("call_{name}")), kind: ToolKind::Function, function })
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().unwrap().strip_prefix("response.").unwrap()).collect()
}

#[test]
fn a_response_has_the_events_of_each_item_in_order() {
    let mut events = Events::new(head(false));
    let mut all = events.begin();
    let written = [
        ChatEvent::Progress { total: 7, reused: 2, read: 5 },
        ChatEvent::Reasoning("hm".to_owned()),
        ChatEvent::Content("Lo".to_owned()),
        ChatEvent::Content("ok".to_owned()),
        call("f"),
        end(FinishReason::Stop),
    ];
    all.extend(written.iter().flat_map(|event| events.event(event)));
    assert_eq!(
        kinds(&all),
        [
            "created",
            "in_progress",
            "output_item.added",
            "reasoning_text.delta",
            "reasoning_text.done",
            "output_item.done",
            "output_item.added",
            "content_part.added",
            "output_text.delta",
            "output_text.delta",
            "output_text.done",
            "content_part.done",
            "output_item.done",
            "output_item.added",
            "function_call_arguments.delta",
            "function_call_arguments.done",
            "output_item.done",
            "completed",
        ]
    );
    let last = all.last().unwrap();
    let response = &last["response"];
    assert_eq!(
        (&response["id"], &response["status"], &response["completed_at"]),
        (&json!("resp_x"), &json!("completed"), &json!(8))
    );
    assert_eq!(
        response["usage"],
        json!({
            "input_tokens": 7, "input_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 0},
            "output_tokens": 9, "output_tokens_details": {"reasoning_tokens": 1}, "total_tokens": 16,
        })
    );
    assert_eq!(last["timings"]["cache_n"], 2);
    assert_eq!(
        response["output"],
        json!([
            {"id": "rs_x_0", "type": "reasoning", "status": "completed", "summary": [],
             "content": [{"type": "reasoning_text", "text": "hm"}], "encrypted_content": null},
            {"id": "msg_x_1", "type": "message", "status": "completed", "role": "assistant",
             "content": [{"type": "output_text", "text": "Look", "annotations": [], "logprobs": []}]},
            {"id": "fc_x_2", "type": "function_call", "status": "completed", "call_id": "call_f", "name": "f",
             "arguments": "{\"a\": 1}"},
        ])
    );
}

#[test]
fn reasoning_can_be_carried_by_a_client_that_drops_its_content() {
    let mut events = Events::new(ResponseHead { carries_reasoning: true, ..head(false) });
    events.event(&ChatEvent::Reasoning("hm".to_owned()));
    let all = events.event(&ChatEvent::Content("x".to_owned()));
    let done = all.iter().find(|event| event["type"] == "response.output_item.done").unwrap();
    let mut item = done["item"].clone();
    item.as_object_mut().unwrap().remove("content");
    let found = messages(json!([item, {"role": "user", "content": "hi"}]));
    assert_eq!(found[0].reasoning_content.as_deref(), Some("hm"));
    assert!(!with("include", json!([])).unwrap().carries_reasoning);
}

#[test]
fn the_progress_of_the_prompt_is_reported_if_it_is_asked_for() {
    let event = ChatEvent::Progress { total: 7, reused: 2, read: 1 };
    assert_eq!(Events::new(head(false)).event(&event), Vec::<Value>::new());
    let found = Events::new(head(true)).event(&event);
    assert_eq!(kinds(&found), ["in_progress"]);
    assert_eq!(found[0]["prompt_progress"], json!({"total": 7, "cache": 2, "processed": 3}));
}

#[test]
fn an_answer_that_is_cut_short_or_fails_says_so() {
    for (last, kind, status, details) in [
        (end(FinishReason::Length), "incomplete", "incomplete", json!({"reason": "max_output_tokens"})),
        (end(FinishReason::Context), "incomplete", "incomplete", json!({"reason": "max_output_tokens"})),
        (end(FinishReason::Cancelled), "incomplete", "cancelled", Value::Null),
        (end(FinishReason::StopString(0)), "completed", "completed", Value::Null),
        (ChatEvent::Failed(engine::Error::Gone), "failed", "failed", Value::Null),
    ] {
        let mut events = Events::new(head(false));
        events.event(&ChatEvent::Content("x".to_owned()));
        let all = events.event(&last);
        let event = all.last().unwrap();
        assert_eq!(kinds(&all).last(), Some(&kind));
        let response = &event["response"];
        assert_eq!((&response["status"], &response["incomplete_details"]), (&json!(status), &details));
        let expected = if kind == "completed" { "completed" } else { "incomplete" };
        assert_eq!(response["output"][0]["status"], expected);
        assert_eq!(response["error"].is_null(), kind != "failed");
    }
    let failed = Events::new(head(false)).event(&ChatEvent::Failed(engine::Error::Gone));
    assert_eq!(
        failed[0]["response"]["error"],
        json!({"code": "server_error", "message": "the engine is not running"})
    );
}

/// The texts and calls of an answer, and where its texts are cut.
fn answers() -> impl Strategy<Value = Vec<ChatEvent>> {
    let text = || "[a-zé\n]{1,8}";
    let part = prop_oneof![
        3 => text().prop_map(ChatEvent::Content),
        1 => "[a-z]{1,3}".prop_map(|name| call(&name)),
    ];
    let reasoning = prop::collection::vec(text().prop_map(ChatEvent::Reasoning), 0..3);
    (reasoning, prop::collection::vec(part, 0..6)).prop_map(|(reasoning, parts)| [reasoning, parts].concat())
}

/// The same events, with texts cut at some characters.
fn cut(events: Vec<ChatEvent>, every: usize) -> Vec<ChatEvent> {
    let pieces = |text: String, event: fn(String) -> ChatEvent| -> Vec<ChatEvent> {
        let chars: Vec<char> = text.chars().collect();
        chars.chunks(every).map(|chunk| event(chunk.iter().collect())).collect()
    };
    let one = |event| match event {
        ChatEvent::Content(text) => pieces(text, ChatEvent::Content),
        ChatEvent::Reasoning(text) => pieces(text, ChatEvent::Reasoning),
        other => vec![other],
    };
    events.into_iter().flat_map(one).collect()
}

/// The whole answer, as a session collects it.
fn collected(events: &[ChatEvent], reason: FinishReason) -> Answer {
    Answer::folded(&[events, &[end(reason)]].concat(), Vec::new())
}

/// The output that a client puts together from the events before the last one.
fn joined(events: &[Value]) -> Vec<Value> {
    let mut output: Vec<Value> = Vec::new();
    for event in events {
        let at = event["output_index"].as_u64().and_then(|at| usize::try_from(at).ok());
        let add = |place: &mut Value| {
            let text = place.as_str().unwrap().to_owned() + event["delta"].as_str().unwrap();
            assert!(!event["delta"].as_str().unwrap().is_empty());
            *place = json!(text);
        };
        let id = event.get("item_id").cloned();
        if let (Some(id), Some(at)) = (id, at) {
            assert_eq!(output[at]["id"], id);
        }
        match (event["type"].as_str().unwrap(), at) {
            ("response.output_item.added", Some(at)) => {
                assert_eq!((at, &event["item"]["status"]), (output.len(), &json!("in_progress")));
                output.push(event["item"].clone());
            }
            ("response.content_part.added", Some(at)) => output[at]["content"] = json!([event["part"]]),
            ("response.output_text.delta", Some(at)) => add(&mut output[at]["content"][0]["text"]),
            ("response.function_call_arguments.delta", Some(at)) => add(&mut output[at]["arguments"]),
            ("response.reasoning_text.delta", Some(at)) => {
                if output[at]["content"] == json!([]) {
                    output[at]["content"] = json!([{"type": "reasoning_text", "text": ""}]);
                }
                add(&mut output[at]["content"][0]["text"]);
            }
            ("response.output_text.done" | "response.reasoning_text.done", Some(at)) => {
                assert_eq!(output[at]["content"][0]["text"], event["text"]);
            }
            ("response.content_part.done", Some(at)) => assert_eq!(output[at]["content"][0], event["part"]),
            ("response.function_call_arguments.done", Some(at)) => {
                assert_eq!(output[at]["arguments"], event["arguments"]);
            }
            ("response.output_item.done", Some(at)) => {
                output[at]["status"] = event["item"]["status"].clone();
                assert_eq!(output[at], event["item"]);
            }
            ("response.created" | "response.in_progress", None) => {}
            (other, _) => panic!("{other}"),
        }
    }
    output
}

const TERMINAL: [&str; 3] = ["response.completed", "response.incomplete", "response.failed"];

proptest! {
    #[test]
    fn events_cut_merged_and_cancelled_joined_are_the_whole_body(
        written in answers(), every in 1_usize..9, kept in 0_usize..20, reason in 0_usize..4,
    ) {
        let reasons = [FinishReason::Stop, FinishReason::Length, FinishReason::Cancelled, FinishReason::StopString(0)];
        let mut written = cut(written, every);
        if reason == 2 {
            written.truncate(kept);
        }
        let mut events = Events::new(head(false));
        let mut all = events.begin();
        all.extend(written.iter().flat_map(|event| events.event(event)));
        all.extend(events.event(&end(reasons[reason])));
        let (last, before) = all.split_last().unwrap();
        prop_assert!(TERMINAL.contains(&last["type"].as_str().unwrap()));
        prop_assert!(before.iter().all(|event| !TERMINAL.contains(&event["type"].as_str().unwrap())));
        for (number, event) in all.iter().enumerate() {
            prop_assert_eq!(&event["sequence_number"], &json!(number));
        }
        let mut whole = Events::new(head(false)).whole(&collected(&written, reasons[reason]));
        prop_assert_eq!(&json!(joined(before)), &whole["output"]);
        let timings = whole.as_object_mut().unwrap().remove("timings");
        prop_assert_eq!(timings.as_ref(), last.get("timings"));
        prop_assert_eq!(&whole, &last["response"]);
    }
}
