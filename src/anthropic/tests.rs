//! Bodies to requests.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::chat::{Content, Message, Role};
use crate::engine::Rules;
use crate::openai::{Asked, Prompt, Refusal, Stream};
use crate::session::{GenerationOptions, Limit, ReasoningMode, Seed, ToolChoice};

fn ask(body: Value) -> Result<Asked, Refusal> {
    let Value::Object(body) = body else { panic!("a body is an object") };
    read(body)
}

/// A request with one more field.
fn with(name: &str, value: Value) -> Result<Asked, Refusal> {
    let mut body = json!({"max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]});
    body[name] = value;
    ask(body)
}

fn asked(messages: Value) -> Result<Asked, Refusal> {
    let mut body = json!({});
    body["messages"] = messages;
    ask(body)
}

fn messages(asked: Asked) -> Vec<Message> {
    match asked.prompt {
        Prompt::Chat(messages) => messages,
        Prompt::Text(texts) => panic!("{texts:?}"),
    }
}

/// The messages of a conversation, in the form of `OpenAI`'s API.
fn read_messages(list: Value) -> Value {
    serde_json::to_value(messages(asked(list).unwrap())).unwrap()
}

/// The reason why messages are refused.
fn refused(list: Value) -> String {
    let refusal = asked(list).unwrap_err();
    assert_eq!(refusal.field(), "messages");
    refusal.to_string()
}

fn unknown(asked: &Asked) -> Vec<&str> {
    asked.unknown.iter().map(|field| field.name.as_str()).collect()
}

const WEATHER: &str = "weather";

fn tool() -> Value {
    json!({"name": WEATHER, "description": "d", "input_schema": {"type": "object", "properties": {"city": {}}}})
}

fn tool_use(id: &str) -> Value {
    json!({"type": "tool_use", "id": id, "name": WEATHER, "input": {"city": "Rome"}})
}

fn tool_result(id: &str, content: Value) -> Value {
    let mut result = json!({"type": "tool_result", "tool_use_id": id});
    result["content"] = content;
    result
}

#[test]
fn every_field_has_its_effect() {
    let asked = ask(json!({
        "model": "m", "max_tokens": 7, "system": "s", "messages": [{"role": "user", "content": "u"}], "stream": true,
        "stop_sequences": ["a", "b"], "temperature": 0.5, "top_p": 0.25, "top_k": 4, "min_p": 0.125, "seed": 3,
        "metadata": {"user_id": "ada"}, "thinking": {"type": "enabled", "budget_tokens": 5},
        "output_config": {"effort": "max", "format": {"type": "json_schema", "schema": {"type": "object"}}},
        "tools": [tool()], "tool_choice": {"type": "auto", "disable_parallel_tool_use": true},
        "chat_template_kwargs": {"x": 1}, "service_tier": "auto", "cache_control": {"type": "ephemeral"},
    }))
    .unwrap();
    assert_eq!(unknown(&asked), [""; 0]);
    assert_eq!(asked.model.as_deref(), Some("m"));
    assert_eq!((asked.stream, asked.choices), (Some(Stream::default()), 1));
    assert!(!asked.parallel_tool_calls);
    let options = asked.options.clone();
    let sampling = &options.sampling;
    assert_eq!((sampling.temperature, sampling.top_p, sampling.top_k), (Some(0.5), Some(0.25), Some(4)));
    assert_eq!((sampling.min_p, options.seed), (Some(0.125), Some(Seed::Fixed(3))));
    assert_eq!(options.max_tokens, Some(Limit::Tokens(7)));
    assert_eq!(options.stop, Some(vec!["a".to_owned(), "b".to_owned()]));
    assert_eq!(options.reasoning, Some(ReasoningMode::On));
    assert_eq!(options.reasoning_budget, Some(Limit::Tokens(5)));
    assert_eq!(options.rules, Some(Rules::JsonSchema(json!({"type": "object"}).to_string())));
    assert_eq!(options.tool_choice, Some(ToolChoice::Auto));
    assert_eq!(Value::Object(options.template_variables), json!({"x": 1, "reasoning_effort": "max"}));
    let function = json!({"name": WEATHER, "description": "d", "parameters": tool()["input_schema"]});
    assert_eq!(options.tools, Some(vec![json!({"type": "function", "function": function})]));
    let expected = [Message::new(Role::System, "s"), Message::new(Role::User, "u")];
    assert_eq!(messages(asked), expected);
}

#[test]
fn an_absent_field_and_null_set_nothing() {
    let plain = asked(json!([{"role": "user", "content": "hi"}])).unwrap();
    assert_eq!(plain.options, GenerationOptions::default());
    assert_eq!((plain.stream, plain.parallel_tool_calls), (None, true));
    for name in
        ["max_tokens", "system", "stop_sequences", "tools", "tool_choice", "thinking", "output_config"]
    {
        let mut body = json!({"messages": [{"role": "user", "content": "hi"}]});
        body[name] = Value::Null;
        assert_eq!(ask(body).unwrap(), plain, "{name}");
    }
}

#[test]
fn wrong_values_are_refused_by_name() {
    for (name, value) in [
        ("max_tokens", json!(-1)),
        ("max_tokens", json!("many")),
        ("temperature", json!("hot")),
        ("stream", json!("yes")),
        ("stop_sequences", json!("end")),
        ("stop_sequences", json!([1])),
        ("metadata", json!("ada")),
        ("system", json!(7)),
        ("system", json!([{"type": "image"}])),
        ("messages", json!("hi")),
        ("messages", json!([])),
        ("thinking", json!(true)),
        ("thinking", json!({})),
        ("thinking", json!({"type": "between_tools"})),
        ("output_config", json!("low")),
        ("output_format", json!({"type": "xml"})),
        ("tools", json!({})),
        ("tools", json!([7])),
        ("tools", json!([{"input_schema": {}}])),
        ("tools", json!([{"name": "", "input_schema": {}}])),
        ("tools", json!([{"name": "f"}])),
        ("tools", json!([{"name": "f", "input_schema": true}])),
        ("tools", json!([{"name": "f", "input_schema": {}, "description": 7}])),
        ("tool_choice", json!("auto")),
        ("tool_choice", json!({"type": "required"})),
        ("tool_choice", json!({"type": "tool"})),
        ("chat_template_kwargs", json!({"messages": []})),
    ] {
        assert_eq!(with(name, value.clone()).expect_err(name).field(), name, "{value}");
    }
    for (name, value, field) in [
        ("thinking", json!({"type": "enabled"}), "thinking.budget_tokens"),
        ("thinking", json!({"type": "enabled", "budget_tokens": -1}), "thinking.budget_tokens"),
        ("metadata", json!({"user_id": 7}), "metadata.user_id"),
        ("output_config", json!({"effort": "huge"}), "output_config.effort"),
        ("output_config", json!({"format": {"type": "json_object"}}), "output_config.format"),
        ("output_config", json!({"format": {"type": "json_schema"}}), "output_config.format.schema"),
        (
            "output_config",
            json!({"format": {"type": "json_schema", "schema": 7}}),
            "output_config.format.schema",
        ),
        (
            "tool_choice",
            json!({"type": "any", "disable_parallel_tool_use": "no"}),
            "tool_choice.disable_parallel_tool_use",
        ),
    ] {
        assert_eq!(with(name, value.clone()).expect_err(name).field(), field, "{value}");
    }
    assert_eq!(ask(json!({"max_tokens": 9})).unwrap_err().to_string(), "`messages` is missing");
}

#[test]
fn thinking_is_on_with_a_budget_or_off_or_left_to_the_defaults() {
    let thinking = |value: Value| {
        let asked = with("thinking", value).unwrap();
        let ignored = unknown(&asked).join(" ");
        (asked.options.reasoning, asked.options.reasoning_budget, ignored)
    };
    let on = (Some(ReasoningMode::On), Some(Limit::Tokens(50)), String::new());
    assert_eq!(thinking(json!({"type": "enabled", "budget_tokens": 50})), on);
    let off = (Some(ReasoningMode::Off), Some(Limit::Tokens(0)), String::new());
    assert_eq!(thinking(json!({"type": "disabled"})), off);
    assert_eq!(thinking(json!({"type": "adaptive"})), (None, None, String::new()));
    let budget = thinking(json!({"type": "adaptive", "budget_tokens": 0, "display": "omitted"}));
    assert_eq!(budget, (None, None, "thinking.budget_tokens thinking.display".to_owned()));
}

#[test]
fn a_schema_may_have_the_older_name_and_only_one_of_them() {
    let format = json!({"type": "json_schema", "schema": {"type": "array"}});
    let rules = Some(Rules::JsonSchema(json!({"type": "array"}).to_string()));
    assert_eq!(with("output_config", json!({"format": format})).unwrap().options.rules, rules);
    assert_eq!(with("output_format", format.clone()).unwrap().options.rules, rules);
    let both = ask(json!({
        "messages": [{"role": "user", "content": "hi"}], "output_format": format, "output_config": {"format": format},
    }));
    assert_eq!(both.unwrap_err().to_string(), "`output_config` and `output_format` cannot be used together");
    let named = json!({"type": "json_schema", "schema": {}, "name": "n"});
    assert_eq!(unknown(&with("output_format", named.clone()).unwrap()), ["output_format.name"]);
    let named = with("output_config", json!({"format": named, "task_budget": {}})).unwrap();
    assert_eq!(unknown(&named), ["output_config.task_budget", "output_config.format.name"]);
}

#[test]
fn two_efforts_that_differ_are_refused() {
    let ask = |effort: &str| {
        ask(json!({
            "messages": [{"role": "user", "content": "hi"}], "output_config": {"effort": "high"},
            "chat_template_kwargs": {"reasoning_effort": effort},
        }))
    };
    assert!(ask("high").is_ok());
    let both = "`chat_template_kwargs` and `output_config` cannot be used together";
    assert_eq!(ask("low").unwrap_err().to_string(), both);
}

#[test]
fn tools_of_another_type_are_dropped_and_reported() {
    let asked = with(
        "tools",
        json!([
            {"type": "web_search_20250305", "name": "web_search", "max_uses": 5},
            {"type": "custom", "name": "f", "input_schema": {}, "cache_control": {"type": "ephemeral"}},
            {"type": "bash_20250124", "name": "bash"},
            {"type": "bash_20250124", "name": "bash"},
            {"type": 7},
        ]),
    )
    .unwrap();
    assert_eq!(unknown(&asked), ["tools.bash_20250124", "tools.type", "tools.web_search_20250305"]);
    let function = json!({"type": "function", "function": {"name": "f", "parameters": {}}});
    assert_eq!(asked.options.tools, Some(vec![function]));
    let none = with("tools", json!([{"type": "web_search_20250305"}])).unwrap();
    assert_eq!(none.options.tools, Some(Vec::new()));
}

#[test]
fn fields_of_tools_without_effect_are_reported_once() {
    let mut strict = tool();
    strict["strict"] = json!(true);
    strict["defer_loading"] = json!(true);
    let ask = |choice: &str| {
        let body = json!({"messages": [{"role": "user", "content": "hi"}], "tools": [strict, strict],
            "tool_choice": {"type": choice}});
        ask(body).unwrap()
    };
    assert_eq!(unknown(&ask("auto")), ["tools.defer_loading", "tools.strict"]);
    assert_eq!(unknown(&ask("any")), ["tools.defer_loading"]);
}

#[test]
fn a_choice_of_tools_is_one_of_four() {
    let choice = |value: Value| {
        let asked = with("tool_choice", value).unwrap();
        (asked.options.tool_choice.unwrap(), asked.parallel_tool_calls)
    };
    assert_eq!(choice(json!({"type": "auto"})), (ToolChoice::Auto, true));
    assert_eq!(choice(json!({"type": "none"})), (ToolChoice::None, true));
    let once = json!({"type": "any", "disable_parallel_tool_use": true});
    assert_eq!(choice(once), (ToolChoice::Required, false));
    let named = json!({"type": "tool", "name": "f", "disable_parallel_tool_use": false});
    assert_eq!(choice(named), (ToolChoice::Function("f".to_owned()), true));
}

#[test]
fn unknown_fields_are_reported_wherever_they_are() {
    let asked = ask(json!({
        "temperatur": 1, "context_management": {"edits": []}, "betas": ["x"],
        "metadata": {"team": 1}, "tool_choice": {"type": "auto", "wish": 1},
        "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}, "later": 1}],
        "messages": [
            {"role": "user", "id": 1, "content": [{"type": "text", "text": "a", "citations": null, "mood": 1}]},
            {"role": "assistant", "content": [tool_use("t")]},
            {"role": "user", "content": [
                tool_result("t", json!([{"type": "text", "text": "b", "mood": 1, "cache_control": null}])),
            ]},
        ],
    }))
    .unwrap();
    assert_eq!(
        unknown(&asked),
        [
            "temperatur",
            "context_management",
            "betas",
            "metadata.team",
            "tool_choice.wish",
            "messages.content.content.mood",
            "messages.content.mood",
            "messages.id",
            "system.later",
        ]
    );
    assert_eq!(asked.unknown[0].closest, Some("temperature"));
}

#[test]
fn instructions_are_text_or_blocks_without_lines_of_metadata() {
    let system = |value: Value| {
        let messages = messages(with("system", value).unwrap());
        messages.first().filter(|first| first.role == Role::System).map(|first| first.content.clone())
    };
    let text = |text: &str| Some(Content::Text(text.to_owned()));
    let billing = "x-anthropic-billing-header: cc_version=2.1.37; cc_entrypoint=cli; cch=fa690;";
    assert_eq!(system(json!("Be kind.")), text("Be kind."));
    assert_eq!(system(json!(format!("{billing}\nBe kind."))), text("Be kind."));
    let block = |text: &str| json!({"type": "text", "text": text, "cache_control": {"type": "ephemeral"}});
    assert_eq!(system(json!([block(billing), block("Be kind.")])), text("Be kind."));
    let parts = json!([{"type": "text", "text": "Be kind."}, {"type": "text", "text": "Be brief."}]);
    let blocks = json!([block(billing), block("Be kind."), block("Be brief.")]);
    assert_eq!(system(blocks), Some(Content::Parts(parts.as_array().unwrap().clone())));
    assert_eq!(system(json!([block(billing)])), None);
    assert_eq!(system(json!([])), None);
    assert_eq!(system(json!("")), None);
}

#[test]
fn system_messages_at_the_start_are_instructions_and_others_stay_in_place() {
    let asked = ask(json!({
        "system": "a",
        "messages": [
            {"role": "system", "content": "x-anthropic-billing-header: cch=1;\nb"}, {"role": "user", "content": "c"},
            {"role": "system", "content": [{"type": "text", "text": "d"}]}, {"role": "user", "content": "e"},
        ],
    }));
    let parts = json!([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]);
    assert_eq!(
        serde_json::to_value(messages(asked.unwrap())).unwrap(),
        json!([
            {"role": "system", "content": parts}, {"role": "user", "content": "c"}, {"role": "system", "content": "d"},
            {"role": "user", "content": "e"},
        ])
    );
}

#[test]
fn blocks_of_an_answer_are_its_reasoning_its_text_and_its_calls() {
    let answer = json!([
        {"type": "thinking", "thinking": "hm", "signature": "s"}, {"type": "redacted_thinking", "data": "x"},
        {"type": "thinking", "thinking": "so", "signature": "s"}, {"type": "text", "text": "Look."},
        tool_use("t"), tool_use("u"),
    ]);
    let call = |id: &str| {
        json!({"id": id, "type": "function", "function": {"name": WEATHER,
        "arguments": {"city": "Rome"}}})
    };
    assert_eq!(
        read_messages(json!([
            {"role": "user", "content": "q"}, {"role": "assistant", "content": answer},
            {"role": "user", "content": [tool_result("t", json!("sun")), tool_result("u", json!("rain"))]},
        ])),
        json!([
            {"role": "user", "content": "q"},
            {"role": "assistant", "content": "Look.", "reasoning_content": "hm\nso", "tool_calls": [call("t"), call("u")]},
            {"role": "tool", "content": "sun", "tool_call_id": "t"},
            {"role": "tool", "content": "rain", "tool_call_id": "u"},
        ])
    );
    let silent = read_messages(json!([
        {"role": "user", "content": "q"}, {"role": "assistant", "content": [tool_use("t")]},
        {"role": "user", "content": [tool_result("t", Value::Null)]},
    ]));
    assert_eq!(silent[1]["content"], Value::Null);
    assert_eq!(silent[2]["content"], "");
    let redacted = read_messages(json!([
        {"role": "user", "content": "q"}, {"role": "assistant", "content": [{"type": "redacted_thinking", "data": "x"}]},
        {"role": "user", "content": "r"},
    ]));
    assert_eq!(redacted[1], json!({"role": "assistant", "content": ""}));
}

#[test]
fn results_precede_the_other_text_of_their_turn() {
    let read = read_messages(json!([
        {"role": "user", "content": "q"}, {"role": "assistant", "content": [tool_use("t")]},
        {"role": "user", "content": [
            {"type": "text", "text": "Here:"}, tool_result("t", json!("sun")), {"type": "text", "text": "And?"},
        ]},
    ]));
    assert_eq!(read[2], json!({"role": "tool", "content": "sun", "tool_call_id": "t"}));
    let parts = json!([{"type": "text", "text": "Here:"}, {"type": "text", "text": "And?"}]);
    assert_eq!(read[3], json!({"role": "user", "content": parts}));
}

#[test]
fn a_result_that_is_an_error_says_so() {
    let result = |content: Value| {
        let mut result = tool_result("t", content);
        result["is_error"] = json!(true);
        let read = read_messages(json!([
            {"role": "user", "content": "q"}, {"role": "assistant", "content": [tool_use("t")]},
            {"role": "user", "content": [result]},
        ]));
        read[2]["content"].clone()
    };
    assert_eq!(result(json!("no city")), "Error: no city");
    assert_eq!(result(json!([])), "Error");
    let parts = json!([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]);
    let prefixed = json!([{"type": "text", "text": "Error: a"}, {"type": "text", "text": "b"}]);
    assert_eq!(result(parts), prefixed);
}

#[test]
fn messages_of_one_role_in_a_row_are_one_turn() {
    let read = read_messages(json!([
        {"role": "user", "content": "a"}, {"role": "user", "content": [{"type": "text", "text": "b"}]},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": ""}]},
        {"role": "assistant", "content": [tool_use("t")]},
        {"role": "user", "content": "c"}, {"role": "user", "content": [tool_result("t", json!("sun"))]},
    ]));
    let roles: Vec<_> =
        read.as_array().unwrap().iter().map(|message| message["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["user", "assistant", "tool", "user"]);
    assert_eq!(read[0]["content"], json!([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]));
    assert_eq!(read[1]["reasoning_content"], "hm");
    assert_eq!(read[1]["tool_calls"][0]["id"], "t");
}

#[test]
fn an_answer_at_the_end_is_continued_unless_it_is_empty() {
    let ask = |content: Value| {
        let asked =
            asked(json!([{"role": "user", "content": "q"}, {"role": "assistant", "content": content}]));
        asked.map(|asked| (asked.continue_final == Some(true), messages(asked).len()))
    };
    assert_eq!(ask(json!("The answer is")), Ok((true, 2)));
    assert_eq!(ask(json!([{"type": "text", "text": "The answer is"}])), Ok((true, 2)));
    assert_eq!(ask(json!([{"type": "thinking", "thinking": "hm", "signature": ""}])), Ok((true, 2)));
    for empty in [json!(""), json!([]), json!([{"type": "text", "text": ""}])] {
        assert_eq!(ask(empty.clone()), Ok((false, 1)), "{empty}");
    }
    let pending = ask(json!([tool_use("t")])).unwrap_err().to_string();
    assert_eq!(pending, "`messages` cannot be read: the last one has `tool_use` without results");
    let only = refused(json!([{"role": "assistant", "content": ""}]));
    assert_eq!(only, "`messages` cannot be read: all of them are empty");
}

#[test]
fn what_a_message_cannot_have_is_refused_by_name() {
    let user = "text or tool_result";
    let assistant = "text, thinking, redacted_thinking or tool_use";
    let source = json!({"type": "base64", "media_type": "image/png", "data": ""});
    for (message, reason) in [
        (json!("x"), "it is not an object".to_owned()),
        (json!({"content": "x"}), "`role` is missing".to_owned()),
        (
            json!({"role": "tool", "content": "x"}),
            "`role` is `tool`, expected user, assistant or system".to_owned(),
        ),
        (json!({"role": "user"}), "`content` is missing".to_owned()),
        (json!({"role": "user", "content": null}), "`content` is missing".to_owned()),
        (json!({"role": "user", "content": 7}), "`content` is `7`, expected a string or a list".to_owned()),
        (json!({"role": "user", "content": []}), "`content` has no blocks".to_owned()),
        (json!({"role": "user", "content": ["x"]}), "block 1: it is not an object".to_owned()),
        (json!({"role": "user", "content": [{"text": "x"}]}), "block 1: `type` is missing".to_owned()),
        (json!({"role": "user", "content": [{"type": "text"}]}), "block 1: `text` is missing".to_owned()),
        (
            json!({"role": "user", "content": [{"type": "text", "text": "x"}, {"type": "image", "source": source}]}),
            format!("block 2: `type` is `image`, expected {user}"),
        ),
        (
            json!({"role": "user", "content": [{"type": "document", "source": source}]}),
            format!("block 1: `type` is `document`, expected {user}"),
        ),
        (
            json!({"role": "user", "content": [tool_use("t")]}),
            format!("block 1: `type` is `tool_use`, expected {user}"),
        ),
        (
            json!({"role": "user", "content": [tool_result("t", json!([{"type": "image", "source": source}]))]}),
            "block 1: part 1 of `content`: `type` is `image`, expected text".to_owned(),
        ),
        (
            json!({"role": "user", "content": [tool_result("t", json!(7))]}),
            "block 1: `content` is `7`, expected a string or a list".to_owned(),
        ),
        (
            json!({"role": "user", "content": [{"type": "tool_result"}]}),
            "block 1: `tool_use_id` is missing".to_owned(),
        ),
        (
            json!({"role": "assistant", "content": [tool_result("t", json!("x"))]}),
            format!("block 1: `type` is `tool_result`, expected {assistant}"),
        ),
        (
            json!({"role": "assistant", "content": [{"type": "server_tool_use", "id": "t", "name": "f", "input": {}}]}),
            format!("block 1: `type` is `server_tool_use`, expected {assistant}"),
        ),
        (
            json!({"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": ""}]}),
            "block 1: `name` is empty".to_owned(),
        ),
        (
            json!({"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": "x"}]}),
            "block 1: `input` is `x`, expected an object".to_owned(),
        ),
        (
            json!({"role": "system", "content": [{"type": "thinking", "thinking": "hm"}]}),
            "block 1: `type` is `thinking`, expected text".to_owned(),
        ),
    ] {
        let found = refused(json!([{"role": "user", "content": "q"}, message]));
        assert_eq!(found, format!("`messages` cannot be read: message 2: {reason}"), "{message}");
    }
}

proptest! {
    #[test]
    fn any_body_is_read_or_refused_by_a_field(body in body_of_any_shape()) {
        if let Err(refusal) = ask(body) {
            prop_assert!(!refusal.field().is_empty());
        }
    }
}

/// Bodies with the names of the API and values of any type.
fn body_of_any_shape() -> impl Strategy<Value = Value> {
    let names = [
        "role",
        "content",
        "type",
        "text",
        "thinking",
        "id",
        "name",
        "input",
        "tool_use_id",
        "is_error",
        "signature",
        "budget_tokens",
        "format",
        "schema",
        "input_schema",
        "effort",
        "user_id",
        "disable_parallel_tool_use",
    ];
    let words = [
        "user",
        "assistant",
        "system",
        "text",
        "thinking",
        "redacted_thinking",
        "tool_use",
        "tool_result",
        "enabled",
        "adaptive",
        "auto",
        "any",
        "tool",
        "json_schema",
        "custom",
        "x-anthropic-a: b=c;d",
        "",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        prop::sample::select(words.to_vec()).prop_map(Value::from),
    ];
    let value = leaf.prop_recursive(5, 64, 6, move |inner| {
        let name = prop::sample::select(names.to_vec());
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((name, inner), 0..6).prop_map(|pairs| {
                Value::Object(pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
            }),
        ]
    });
    let fields = [
        "messages",
        "system",
        "tools",
        "tool_choice",
        "thinking",
        "output_config",
        "output_format",
        "metadata",
        "stream",
        "stop_sequences",
        "max_tokens",
    ];
    let field = (prop::sample::select(fields.to_vec()), value);
    prop::collection::vec(field, 0..6).prop_map(|fields| {
        let mut body = json!({"messages": [{"role": "user", "content": "hi"}]});
        for (name, value) in fields {
            body[name] = value;
        }
        body
    })
}
