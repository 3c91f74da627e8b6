//! Bodies to requests, and events to chunks.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::engine::{
    self, Dry, FinishReason, Grammar, Mirostat, MirostatVersion, Rules, SamplingParams, Timings, Token,
    TokenLogprob, Usage, Xtc,
};
use crate::openai::{Piece, Prompt, Refusal};
use crate::session::{Answer, ChatEvent, ChatUsage, Limit, Logprobs, Seed};

fn ask(body: Value) -> Result<Completion, Refusal> {
    let Value::Object(body) = body else { panic!("a body is an object") };
    read(body)
}

/// A request with one more field.
fn with(name: &str, value: Value) -> Result<Completion, Refusal> {
    let mut body = json!({"prompt": "hi"});
    body[name] = value;
    ask(body)
}

#[test]
fn every_field_has_its_effect() {
    let completion = ask(json!({
        "prompt": ["a", [1, 2]], "n_predict": 7, "n_cmpl": 2, "n_probs": 5, "seed": 3, "stop": ["end"],
        "temperature": 0.5, "return_tokens": true, "post_sampling_probs": true, "stream": true,
        "return_progress": true, "timings_per_token": true, "response_fields": ["content", "timings/cache_n"],
        "logit_bias": [[15, 1.0], [" Hello", -0.5], [16, false]], "cache_prompt": false, "id_slot": 3,
        "n_keep": 5, "n_discard": 1, "n_cache_reuse": 2, "n_indent": 0, "min_keep": 0, "t_max_predict_ms": -1,
        "lora": [], "grammar_lazy": false, "grammar_triggers": [], "preserved_tokens": [], "adaptive_target": -1,
        "adaptive_decay": 0.5, "backend_sampling": true, "grammar": "", "samplers": ["top_k"], "echo": false,
    }))
    .unwrap();
    let asked = completion.asked;
    assert_eq!(asked.unknown, []);
    let Prompt::Text(texts) = asked.prompt else { panic!("they are texts") };
    assert_eq!((texts.len(), asked.choices), (2, 2));
    let options = asked.options;
    assert_eq!((options.max_tokens, options.seed), (Some(Limit::Tokens(7)), Some(Seed::Fixed(3))));
    assert_eq!((options.logprobs, options.stop), (Some(Logprobs::Top(5)), Some(vec!["end".to_owned()])));
    assert_eq!(options.sampling.temperature, Some(0.5));
    assert_eq!(options.sampling.logit_bias, [(Token(15), 1.0), (Token(16), f32::NEG_INFINITY)]);
    assert_eq!(completion.text_biases, [(" Hello".to_owned(), -0.5)]);
    assert!(completion.return_tokens && completion.post_sampling);
    assert_eq!(completion.response_fields, ["content", "timings/cache_n"]);
    assert!(asked.stream.is_some());
}

#[test]
fn values_that_would_change_the_answer_are_refused_by_name() {
    for (name, value) in [
        ("n_indent", json!(2)),
        ("min_keep", json!(1)),
        ("t_max_predict_ms", json!(100)),
        ("adaptive_target", json!(0.5)),
        ("lora", json!([{"id": 0, "scale": 1.0}])),
        ("grammar_lazy", json!(true)),
        ("grammar_triggers", json!([{}])),
        ("preserved_tokens", json!(["<x>"])),
        ("echo", json!(true)),
        ("n_probs", json!(101)),
        ("n_probs", json!("5")),
        ("n_cmpl", json!(0)),
        ("n_cmpl", json!(129)),
        ("response_fields", json!([7])),
        ("response_fields", json!("x")),
        ("return_tokens", json!(1)),
        ("post_sampling_probs", json!("yes")),
        ("logit_bias", json!([["x"]])),
        ("logit_bias", json!([[1.5, 1]])),
        ("logit_bias", json!({"x": "y"})),
        ("prompt", json!(vec!["x"; 129])),
    ] {
        assert_eq!(with(name, value.clone()).unwrap_err().field(), name, "{value}");
    }
    let conflict = ask(json!({"prompt": "x", "n": 2, "n_cmpl": 3})).unwrap_err();
    assert_eq!(conflict, Refusal::Conflict { field: "n_cmpl", other: "n" });
    let many = ask(json!({"prompt": ["x", "y"], "n_cmpl": 65})).unwrap_err();
    assert_eq!(
        many.to_string(),
        "`prompt` has 2 prompts with 65 answers each, expected at most 128 answers in all"
    );
    let texts: Vec<Value> = (0..1025).map(|n| json!([n.to_string(), 1])).collect();
    assert_eq!(with("logit_bias", json!(texts)).unwrap_err().field(), "logit_bias");
    let long = json!([["x".repeat(65_537), 1]]);
    assert_eq!(with("logit_bias", long).unwrap_err().field(), "logit_bias");
    let tokens: Vec<Value> = (0..=1 << 16).map(|n| json!([n, 1])).collect();
    assert_eq!(with("logit_bias", json!(tokens)).unwrap_err().field(), "logit_bias");
}

#[test]
fn probabilities_have_two_names_and_may_be_off() {
    let logprobs = |body: Value| {
        let mut body = body;
        body["prompt"] = json!("x");
        ask(body).unwrap().asked.options.logprobs
    };
    assert_eq!(logprobs(json!({})), None);
    assert_eq!(logprobs(json!({"n_probs": 0})), Some(Logprobs::Off));
    assert_eq!(logprobs(json!({"logprobs": 0})), Some(Logprobs::Off));
    assert_eq!(logprobs(json!({"logprobs": 3})), Some(Logprobs::Top(3)));
    assert_eq!(logprobs(json!({"logprobs": 3, "n_probs": 4})), Some(Logprobs::Top(4)));
    assert_eq!(logprobs(json!({"logprobs": 3, "n_probs": 0})), Some(Logprobs::Off));
}

#[test]
fn biases_of_texts_may_be_an_object() {
    let completion = with("logit_bias", json!({"15": 1, " Hello": false})).unwrap();
    assert_eq!(completion.asked.options.sampling.logit_bias, [(Token(15), 1.0)]);
    assert_eq!(completion.text_biases, [(" Hello".to_owned(), f32::NEG_INFINITY)]);
}

#[test]
fn probabilities_after_the_samplers_are_given_only_if_they_are_known() {
    let of = |params: &SamplingParams, after| Probabilities::of(params, after);
    let (neutral, greedy) = (SamplingParams::neutral(3), SamplingParams::greedy());
    assert_eq!(of(&neutral, false), Ok(Probabilities::Logprobs));
    assert_eq!(of(&greedy, false), Ok(Probabilities::Logprobs));
    assert_eq!(of(&neutral, true), Ok(Probabilities::Unchanged));
    assert_eq!(
        of(&SamplingParams { logprobs: Some(5), ..neutral.clone() }, true),
        Ok(Probabilities::Unchanged)
    );
    assert_eq!(of(&SamplingParams { top_k: 4, ..greedy }, true), Ok(Probabilities::Greedy));
    let grammar = Some(Grammar { rules: Rules::Gbnf("root ::= \"a\"".to_owned()).into(), after: None });
    for params in [
        SamplingParams { temperature: 0.8, ..neutral.clone() },
        SamplingParams { top_k: 40, ..neutral.clone() },
        SamplingParams { logit_bias: vec![(Token(1), 1.0)], ..neutral.clone() },
        SamplingParams { mirostat: Some(Mirostat::new(MirostatVersion::V2)), ..neutral.clone() },
        SamplingParams { grammar, ..neutral },
    ] {
        assert_eq!(of(&params, true).unwrap_err().field(), "post_sampling_probs", "{params:?}");
    }
}

#[test]
fn settings_have_every_value_under_llama_servers_names() {
    let off = generation_settings(&SamplingParams::neutral(42), None, &[], &[Token(2)]);
    for (name, value) in [
        ("seed", json!(42)),
        ("temperature", json!(1.0)),
        ("top_k", json!(0)),
        ("repeat_last_n", json!(64)),
        ("dry_multiplier", json!(0.0)),
        ("dry_penalty_last_n", json!(-1)),
        ("dry_sequence_breakers", json!(["\n", ":", "\"", "*"])),
        ("xtc_probability", json!(0.0)),
        ("mirostat", json!(0)),
        ("mirostat_tau", json!(5.0)),
        ("adaptive_target", json!(-1.0)),
        ("n_predict", json!(-1)),
        ("max_tokens", json!(-1)),
        ("n_probs", json!(0)),
        ("stop", json!([])),
        ("logit_bias", json!([])),
        ("grammar", json!("")),
        ("ignore_eos", json!(false)),
    ] {
        assert_eq!(off[name], value, "{name}");
    }
    assert_eq!(off["samplers"].as_array().unwrap().len(), 9);
    let params = SamplingParams {
        dry: Some(Dry::with_multiplier(0.5)),
        xtc: Some(Xtc::with_probability(0.5)),
        mirostat: Some(Mirostat::new(MirostatVersion::V1)),
        logit_bias: vec![(Token(5), 1.5), (Token(6), f32::NEG_INFINITY)],
        grammar: Some(Grammar { rules: Rules::Gbnf("root ::= \"a\"".to_owned()).into(), after: None }),
        logprobs: Some(4),
        ..SamplingParams::neutral(1)
    };
    let on = generation_settings(&params, Some(9), &["x".to_owned()], &[Token(2)]);
    for (name, value) in [
        ("dry_multiplier", json!(0.5)),
        ("xtc_probability", json!(0.5)),
        ("mirostat", json!(1)),
        ("logit_bias", json!([{"token": 5, "bias": 1.5}, {"token": 6, "bias": null}])),
        ("grammar", json!("root ::= \"a\"")),
        ("n_predict", json!(9)),
        ("n_probs", json!(4)),
        ("stop", json!(["x"])),
    ] {
        assert_eq!(on[name], value, "{name}");
    }
    let rules = Rules::JsonSchema(json!({"type": "object"}).to_string());
    let params = SamplingParams {
        grammar: Some(Grammar { rules: rules.into(), after: None }),
        ..SamplingParams::neutral(1)
    };
    assert_eq!(generation_settings(&params, None, &[], &[])["json_schema"], json!({"type": "object"}));
    let params = SamplingParams { ignore_end: true, ..SamplingParams::neutral(1) };
    let ignoring = generation_settings(&params, None, &[], &[Token(2)]);
    assert_eq!(ignoring["logit_bias"], json!([{"token": 2, "bias": null}]));
}

fn piece(token: Token) -> Vec<u8> {
    vec![u8::try_from(token.0).unwrap()]
}

fn shown(probabilities: Option<Probabilities>) -> Shown {
    let probabilities = probabilities.map(|form| (form, Arc::new(piece) as Piece));
    let (settings, stop) = (json!({"n_predict": 9}), vec!["end".to_owned()]);
    Shown {
        model: "m".to_owned(),
        tokens: true,
        probabilities,
        progress: true,
        fields: Vec::new(),
        settings,
        stop,
    }
}

fn continued() -> Continued {
    Continued { prompt: "p".into(), seed: 7 }
}

fn end(reason: FinishReason) -> ChatEvent {
    let total = Usage { prompt_tokens: 7, reused_tokens: 2, completion_tokens: 9 };
    let timings = Timings {
        queued: Duration::ZERO,
        prefill: Duration::from_millis(50),
        decode: Duration::from_millis(400),
    };
    ChatEvent::Finished { reason, usage: ChatUsage { total, reasoning_tokens: 0 }, timings }
}

fn answer(content: &str, tokens: &[i32], reason: FinishReason) -> Answer {
    let logprobs = tokens.iter().map(|token| logprob(*token)).collect();
    let whole = Answer::folded(&[ChatEvent::Content(content.to_owned()), end(reason)], logprobs);
    Answer { tokens: tokens.iter().copied().map(Token).collect(), ..whole }
}

fn logprob(token: i32) -> TokenLogprob {
    let top = vec![(Token(token), -0.5), (Token(98), f32::NEG_INFINITY)];
    TokenLogprob { token: Token(token), logprob: -0.5, top }
}

#[test]
fn a_body_has_the_fields_of_llama_server() {
    let completions = Completions::new(shown(None), vec![continued()]);
    let body = completions.whole(&[answer("a\nb", &[97, 98], FinishReason::Stop)]);
    assert_eq!(
        body,
        json!({
            "index": 0, "content": "a\nb", "tokens": [97, 98], "stop": true, "model": "m", "tokens_predicted": 9,
            "tokens_evaluated": 7, "generation_settings": {"n_predict": 9}, "prompt": "p", "has_new_line": true,
            "truncated": false, "stop_type": "eos", "stopping_word": "", "tokens_cached": 15,
            "timings": {
                "queued_ms": 0.0, "cache_n": 2, "prompt_n": 5, "prompt_ms": 50.0, "prompt_per_token_ms": 10.0,
                "prompt_per_second": 100.0, "predicted_n": 9, "predicted_ms": 400.0, "predicted_per_token_ms": 50.0,
                "predicted_per_second": 20.0,
            },
        })
    );
}

#[test]
fn the_end_of_an_answer_has_its_reason() {
    let completions = Completions::new(Shown { tokens: false, ..shown(None) }, vec![continued()]);
    for (reason, stop_type, word, truncated) in [
        (FinishReason::Stop, "eos", "", false),
        (FinishReason::StopString(0), "word", "end", false),
        (FinishReason::Length, "limit", "", false),
        (FinishReason::Context, "limit", "", true),
        (FinishReason::Cancelled, "none", "", false),
    ] {
        let body = completions.whole(&[answer("a", &[97], reason)]);
        assert_eq!(
            [&body["stop_type"], &body["stopping_word"], &body["truncated"]],
            [&json!(stop_type), &json!(word), &json!(truncated)]
        );
        assert_eq!((&body["tokens"], &body["has_new_line"]), (&json!([]), &json!(false)));
    }
}

#[test]
fn several_answers_are_a_list_in_order() {
    let completions = Completions::new(shown(None), vec![continued(), continued()]);
    let both = [answer("a", &[97], FinishReason::Stop), answer("b", &[98], FinishReason::Stop)];
    let body = completions.whole(&both);
    let found: Vec<_> = body.as_array().unwrap().iter().map(|one| (&one["index"], &one["content"])).collect();
    assert_eq!(found, [(&json!(0), &json!("a")), (&json!(1), &json!("b"))]);
}

#[test]
fn each_answer_has_its_seed_in_the_settings_of_all() {
    let settings = json!({"seed": 0, "n_predict": 9});
    let fields = vec!["generation_settings/seed".to_owned()];
    let answers = || vec![continued(), Continued { seed: 8, ..continued() }];
    let both = [answer("a", &[97], FinishReason::Stop), answer("b", &[98], FinishReason::Stop)];
    let seeds = |shown: Shown| Completions::new(shown, answers()).whole(&both);
    let whole = seeds(Shown { settings: settings.clone(), ..shown(None) });
    assert_eq!(whole[0]["generation_settings"], json!({"seed": 7, "n_predict": 9}));
    assert_eq!(whole[1]["generation_settings"], json!({"seed": 8, "n_predict": 9}));
    let selected = seeds(Shown { fields, settings, ..shown(None) });
    assert_eq!(selected, json!([{"generation_settings/seed": 7}, {"generation_settings/seed": 8}]));
}

#[test]
fn the_bytes_that_answers_repeat_are_those_of_the_fields_that_are_shown() {
    let repeated = |fields: &[&str]| {
        let fields = fields.iter().map(|name| (*name).to_owned()).collect();
        let answers = vec![continued(), Continued { prompt: "four".into(), seed: 8 }];
        Completions::new(Shown { fields, ..shown(None) }, answers).repeated_bytes()
    };
    let settings = json!({"n_predict": 9}).to_string().len();
    assert_eq!(repeated(&[]), 2 * settings + 5);
    assert_eq!(repeated(&["content", "prompt"]), 5);
    assert_eq!(repeated(&["generation_settings/seed"]), 2 * settings);
    assert_eq!(repeated(&["content"]), 0);
}

#[test]
fn the_fields_of_a_body_can_be_selected() {
    let fields = ["content", "generation_settings/n_predict", "timings/none", "none", "content/x"];
    let fields = fields.map(str::to_owned).to_vec();
    let completions = Completions::new(Shown { fields, ..shown(None) }, vec![continued()]);
    let body = completions.whole(&[answer("a", &[97], FinishReason::Stop)]);
    assert_eq!(body, json!({"content": "a", "generation_settings/n_predict": 9}));
}

#[test]
fn probabilities_have_the_names_of_their_form() {
    let of = |form| {
        let body = Completions::new(shown(Some(form)), vec![continued()]).whole(&[answer(
            "a",
            &[97],
            FinishReason::Stop,
        )]);
        body["completion_probabilities"].clone()
    };
    let a = |name: &str, value: f64| {
        let mut one = json!({"id": 97, "token": "a", "bytes": [97]});
        one[name] = json!(value);
        one
    };
    let never = json!({"id": 98, "token": "b", "bytes": [98], "logprob": -9999.0});
    let mut expected = a("logprob", -0.5);
    expected["top_logprobs"] = json!([a("logprob", -0.5), never]);
    assert_eq!(of(Probabilities::Logprobs), json!([expected]));
    let found = of(Probabilities::Unchanged);
    assert!((found[0]["prob"].as_f64().unwrap() - 0.606_530_66).abs() < 1e-6, "{found}");
    assert_eq!(found[0]["top_probs"].as_array().unwrap().len(), 1, "impossible tokens are left out");
    let mut expected = a("prob", 1.0);
    expected["top_probs"] = json!([a("prob", 1.0)]);
    assert_eq!(of(Probabilities::Greedy), json!([expected]));
}

#[test]
fn a_stream_has_the_tokens_of_each_chunk_and_all_else_at_its_end() {
    let mut completions = Completions::new(shown(None), vec![continued()]);
    let progress = completions.event(0, &ChatEvent::Progress { total: 7, reused: 2, read: 1 }, &[], &[]);
    assert_eq!(progress[0]["prompt_progress"], json!({"total": 7, "cache": 2, "processed": 3}));
    let text = completions.event(0, &ChatEvent::Content("a\n".to_owned()), &[Token(97), Token(10)], &[]);
    assert_eq!(
        text,
        [json!({"index": 0, "content": "a\n", "tokens": [97, 10], "stop": false, "tokens_predicted": 2,
            "tokens_evaluated": 7})]
    );
    let last = completions.event(0, &end(FinishReason::Stop), &[Token(2)], &[]);
    assert_eq!(
        (&last[0]["content"], &last[0]["tokens"]),
        (&json!(""), &json!([2])),
        "the token that ends the answer"
    );
    assert_eq!(
        [&last[1]["stop"], &last[1]["content"], &last[1]["tokens"], &last[1]["has_new_line"]],
        [&json!(true), &json!(""), &json!([]), &json!(true)]
    );
    assert_eq!((last.len(), &last[1]["stop_type"]), (2, &json!("eos")));
    let quiet = Completions::new(Shown { progress: false, ..shown(None) }, vec![continued()]).event(
        0,
        &ChatEvent::Progress { total: 7, reused: 2, read: 1 },
        &[],
        &[],
    );
    assert_eq!(quiet, Vec::<Value>::new());
}

#[test]
fn a_failure_in_a_stream_is_an_error() {
    let mut completions = Completions::new(shown(None), vec![continued()]);
    let failed = completions.event(0, &ChatEvent::Failed(engine::Error::Gone), &[], &[]);
    assert_eq!(failed[0]["error"]["code"], "engine_error");
}

proptest! {
    #[test]
    fn chunks_cut_merged_and_cancelled_joined_are_the_whole_body(
        parts in prop::collection::vec(("[a-z\n]{0,4}", 0_usize..4), 0..12),
        rest in 0_usize..3, reason in 0_usize..4, with in any::<bool>(),
    ) {
        let reasons = [FinishReason::Stop, FinishReason::StopString(0), FinishReason::Context, FinishReason::Cancelled];
        let form = with.then_some(Probabilities::Logprobs);
        let mut completions = Completions::new(shown(form), vec![continued()]);
        let (mut all, mut content, mut tokens) = (Vec::new(), String::new(), Vec::new());
        let given = |count: usize, tokens: &mut Vec<i32>| -> (Vec<Token>, Vec<TokenLogprob>) {
            let new: Vec<i32> = (0..count).map(|n| 97 + i32::try_from((tokens.len() + n) % 20).unwrap()).collect();
            tokens.extend(&new);
            let logprobs = if with { new.iter().map(|token| logprob(*token)).collect() } else { Vec::new() };
            (new.into_iter().map(Token).collect(), logprobs)
        };
        for (text, count) in parts {
            let (new, logprobs) = given(count, &mut tokens);
            content += &text;
            all.extend(completions.event(0, &ChatEvent::Content(text), &new, &logprobs));
        }
        let (new, logprobs) = given(rest, &mut tokens);
        all.extend(completions.event(0, &end(reasons[reason]), &new, &logprobs));
        let (last, before) = all.split_last().unwrap();
        prop_assert_eq!(&last["stop"], &json!(true));
        prop_assert!(before.iter().all(|chunk| chunk["stop"] == json!(false)));
        let joined = |name: &str| -> Vec<Value> {
            before.iter().flat_map(|chunk| chunk[name].as_array().cloned().unwrap_or_default()).collect()
        };
        let text: String = before.iter().map(|chunk| chunk["content"].as_str().unwrap()).collect();
        let mut whole = completions.whole(&[answer(&content, &tokens, reasons[reason])]);
        prop_assert_eq!(json!(text), whole["content"].clone());
        prop_assert_eq!(json!(joined("tokens")), whole["tokens"].clone());
        if with {
            prop_assert_eq!(json!(joined("completion_probabilities")), whole["completion_probabilities"].clone());
            prop_assert!(before.iter().all(|chunk| chunk["tokens"].as_array().unwrap().len() <= 1));
        }
        for (name, empty) in [("content", json!("")), ("tokens", json!([]))] {
            whole[name] = empty;
        }
        whole.as_object_mut().unwrap().remove("completion_probabilities");
        prop_assert_eq!(last, &whole);
    }
}
