//! Bodies and what is made of them.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::engine::{
    Dry, Mirostat, MirostatVersion, Penalties, Rules, SamplerKind, SamplingParams, Token, Xtc,
};

fn ask(body: Value) -> Result<Asked, Refusal> {
    let Value::Object(body) = body else { panic!("a body is an object") };
    let endpoint = if body.contains_key("prompt") { Endpoint::Text } else { Endpoint::Chat };
    read(endpoint, body, &Defaults::new(SamplingParams::neutral(0)))
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
        "model": "m", "user": null, "max_completion_tokens": 7, "stop": "end", "n": 2, "seed": 3, "logprobs": true,
        "top_logprobs": 4, "tools": [{"name": "f"}], "tool_choice": "auto", "reasoning_budget": 9,
        "chat_template_kwargs": {"enable_thinking": false}, "reasoning_effort": "low",
        "response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object"}}},
        "wish": 1,
    }))
    .unwrap();
    assert_eq!((asked.copies, asked.seed, &asked.unknown), (2, Some(3), &vec!["wish".to_owned()]));
    let Kind::Chat(request) = asked.kind else { panic!("it is a chat") };
    assert_eq!(
        (request.messages.len(), request.max_tokens, request.stop),
        (2, Some(7), vec!["end".to_owned()])
    );
    assert_eq!((request.sampling.logprobs, request.reasoning_budget), (Some(4), Some(9)));
    assert_eq!(
        Value::Object(request.variables),
        json!({"enable_thinking": false, "reasoning_effort": "low"})
    );
    assert_eq!(request.tools, [json!({"type": "function", "function": {"name": "f"}})]);
    let rules = request.sampling.grammar.unwrap().rules;
    assert_eq!(rules, Rules::JsonSchema(json!({"type": "object"}).to_string()));
}

#[test]
fn what_lifts_a_default_lifts_it() {
    let mut defaults = Defaults::new(SamplingParams::neutral(0));
    (defaults.max_tokens, defaults.reasoning_budget) = (Some(5), Some(6));
    defaults.tools = vec![json!({"function": {"name": "f"}})];
    let ask = |more: Value| {
        let mut body = json!({"messages": [{"role": "user", "content": "hi"}]});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let Value::Object(body) = body else { panic!() };
        let Kind::Chat(request) = read(Endpoint::Chat, body, &defaults).unwrap().kind else { panic!() };
        (request.max_tokens, request.reasoning_budget, request.tools.len())
    };
    assert_eq!(ask(json!({})), (Some(5), Some(6), 1));
    assert_eq!(ask(json!({"max_tokens": null})), (Some(5), Some(6), 1));
    assert_eq!(
        ask(json!({"max_tokens": -1, "reasoning_budget": -1, "tool_choice": "none"})),
        (None, None, 0)
    );
}

#[test]
fn what_cannot_be_is_refused_by_name() {
    for (name, value) in [
        ("temperature", json!("hot")),
        ("temperature", json!(1e300)),
        ("top_k", json!(-2)),
        ("top_k", json!(1.5)),
        ("n", json!(0)),
        ("n", json!(129)),
        ("seed", json!(-2)),
        ("stream", json!(true)),
        ("max_tokens", json!("many")),
        ("stop", json!([1])),
        ("messages", json!([])),
        ("messages", json!("hi")),
        ("messages", json!([{"role": "nobody", "content": "x"}])),
        ("tools", json!([{}])),
        ("tool_choice", json!({"type": "function", "function": {"name": "f"}})),
        ("response_format", json!({"type": "xml"})),
        ("response_format", json!({"type": "json_object", "schema": 7})),
        ("chat_template_kwargs", json!({"messages": []})),
        ("logit_bias", json!({"a": 1})),
        ("samplers", json!(["best"])),
        ("mirostat", json!(3)),
        ("top_logprobs", json!(3)),
        ("logprobs", json!(1)),
    ] {
        assert_eq!(with(name, value.clone()).expect_err(name).field(), name, "{value}");
    }
    let bare = with("response_format", json!({"type": "json_schema"})).unwrap_err();
    assert_eq!(bare.field(), "response_format.json_schema.schema");
    assert!(matches!(ask(json!({})), Err(Refusal::Missing { field: "messages" })));
    let both = ask(json!({"prompt": "x", "grammar": "root ::= \"x\"", "json_schema": {}})).unwrap_err();
    assert_eq!(both.to_string(), "`grammar` and `json_schema` exclude each other");
    assert!(ask(json!({"prompt": ["a", "b"]})).is_err());
    assert!(ask(json!({"prompt": ["a"], "echo": false, "best_of": 1})).is_ok());
    assert_eq!(ask(json!({"prompt": "x", "echo": true})).unwrap_err().field(), "echo");
}

prop_compose! {
    fn params()(
        numbers in prop::array::uniform9(-2f32..2.0),
        top_k in any::<u32>(),
        last in any::<Option<u32>>(),
        ignore_end in any::<bool>(),
        biases in prop::collection::vec((any::<i32>(), prop::option::of(-9f32..9.0)), 0..4),
        order in prop::collection::vec(prop::sample::select(SamplerKind::DEFAULT_ORDER.to_vec()), 0..9),
        dry in prop::option::of((
            0.1f32..2.0, 1f32..3.0, any::<u32>(), any::<Option<u32>>(), prop::collection::vec(".*", 0..3),
        )),
        xtc in prop::option::of((0.1f32..1.0, 0f32..1.0)),
        mirostat in prop::option::of((any::<bool>(), 0f32..9.0, 0f32..1.0)),
    ) -> SamplingParams {
        let mut params = SamplingParams { top_k, ignore_end, order, ..SamplingParams::neutral(0) };
        [params.temperature, params.temperature_range, params.temperature_exponent, ..] = numbers;
        [.., params.top_p, params.min_p, params.typical_p, params.top_n_sigma, _, _] = numbers;
        params.penalties = Penalties { last, repeat: numbers[7], presence: numbers[8], frequency: numbers[0] };
        let bias = |(token, bias): (i32, Option<f32>)| (Token(token), bias.unwrap_or(f32::NEG_INFINITY));
        params.logit_bias = biases.into_iter().map(bias).collect();
        params.dry = dry.map(|(multiplier, base, allowed_length, last, breakers)| {
            Dry { multiplier, base, allowed_length, last, breakers }
        });
        params.xtc = xtc.map(|(probability, threshold)| Xtc { probability, threshold });
        params.mirostat = mirostat.map(|(first, tau, eta)| {
            Mirostat { version: if first { MirostatVersion::V1 } else { MirostatVersion::V2 }, tau, eta }
        });
        params
    }
}

proptest! {
    #[test]
    fn sampling_that_was_written_is_read_again(params in params()) {
        let mut body = write_sampling(&params, &SamplingParams::neutral(0));
        body.insert("prompt".to_owned(), json!("x"));
        let text = Value::Object(body).to_string();
        let asked = ask(serde_json::from_str(&text).unwrap()).unwrap();
        prop_assert_eq!(asked.sampling(), &params);
        prop_assert!(asked.unknown.is_empty());
    }
}
