//! What changes a hash, and hashes that must stay.

use super::*;
use crate::engine::{Penalties, SamplerKind, Token};
use crate::session::{MirostatMode, ReasoningMode};

fn hash(settings: &Settings, body: &str) -> RequestHash {
    RequestHash::of(settings, Endpoint::Chat, serde_json::from_str(body).unwrap())
}

/// Options that change one field each.
fn changes() -> Vec<fn(&mut GenerationOptions)> {
    vec![
        |o| o.sampling.temperature = Some(0.5),
        |o| o.sampling.temperature_range = Some(0.5),
        |o| o.sampling.temperature_exponent = Some(0.5),
        |o| o.sampling.top_k = Some(5),
        |o| o.sampling.top_p = Some(0.5),
        |o| o.sampling.min_p = Some(0.5),
        |o| o.sampling.typical_p = Some(0.5),
        |o| o.sampling.top_n_sigma = Some(0.5),
        |o| o.sampling.repeat_last_n = Some(Limit::Unlimited),
        |o| o.sampling.repeat_penalty = Some(0.5),
        |o| o.sampling.presence_penalty = Some(0.5),
        |o| o.sampling.frequency_penalty = Some(0.5),
        |o| o.sampling.dry_multiplier = Some(0.5),
        |o| o.sampling.dry_base = Some(0.5),
        |o| o.sampling.dry_allowed_length = Some(5),
        |o| o.sampling.dry_last_n = Some(Limit::Tokens(5)),
        |o| o.sampling.dry_breakers = Some(vec!["x".to_owned()]),
        |o| o.sampling.xtc_probability = Some(0.5),
        |o| o.sampling.xtc_threshold = Some(0.5),
        |o| o.sampling.mirostat = Some(MirostatMode::On(MirostatVersion::V1)),
        |o| o.sampling.mirostat = Some(MirostatMode::On(MirostatVersion::V2)),
        |o| o.sampling.mirostat_tau = Some(0.5),
        |o| o.sampling.mirostat_eta = Some(0.5),
        |o| o.sampling.logit_bias = vec![(Token(1), 0.5)],
        |o| o.sampling.ignore_end = Some(true),
        |o| o.sampling.order = Some(vec![SamplerKind::TopK]),
        |o| o.seed = Some(Seed::Fixed(1)),
        |o| o.max_tokens = Some(Limit::Tokens(5)),
        |o| o.stop = Some(vec!["x".to_owned()]),
        |o| o.rules = Some(Rules::Gbnf("x".to_owned())),
        |o| o.rules = Some(Rules::JsonSchema("x".to_owned())),
        |o| o.tools = Some(vec![json!({"function": {"name": "f"}})]),
        |o| o.tool_choice = Some(ToolChoice::None),
        |o| o.tool_choice = Some(ToolChoice::Required),
        |o| o.tool_choice = Some(ToolChoice::Function("f".to_owned())),
        |o| o.reasoning = Some(ReasoningMode::On),
        |o| o.reasoning = Some(ReasoningMode::Off),
        |o| drop(o.template_variables.insert("a".to_owned(), json!(1))),
        |o| o.reasoning_budget = Some(Limit::Tokens(0)),
        |o| o.reasoning_budget_message = Some("x".to_owned()),
        |o| o.logprobs = Some(Logprobs::Top(0)),
    ]
}

#[test]
fn each_option_changes_the_hash_in_a_way_of_its_own() {
    let mut found = vec![Settings::of(&GenerationOptions::default())];
    for (index, change) in changes().into_iter().enumerate() {
        let mut changed = GenerationOptions::default();
        change(&mut changed);
        let settings = Settings::of(&changed);
        assert!(!found.contains(&settings), "change {index}");
        found.push(settings);
    }
}

#[test]
fn every_option_is_among_the_changes() {
    // The names in the source of the struct are those of its debug text.
    let text = |options: &GenerationOptions| format!("{options:#?}");
    let default = text(&GenerationOptions::default());
    let mut changed = GenerationOptions::default();
    for change in changes() {
        change(&mut changed);
    }
    let all = text(&changed);
    let all: Vec<&str> = all.lines().collect();
    for line in default.lines().filter(|line| line.ends_with(": None,") || line.ends_with(": [],")) {
        assert!(!all.contains(&line), "no change of `{}`", line.trim());
    }
    assert!(!all.iter().any(|line| line.ends_with("template_variables: {},")));
}

#[test]
fn fields_without_effect_and_spelling_do_not_change_a_hash() {
    let settings = Settings::of(&GenerationOptions::default());
    let plain = hash(&settings, r#"{"messages": [], "temperature": 1}"#);
    assert_eq!(plain, hash(&settings, r#"{ "model":"x","messages":[],"user":"y","temperature":1 }"#));
    assert_ne!(plain, hash(&settings, r#"{"messages": [], "temperature": 2}"#));
    let calls = |value: &str| {
        hash(&settings, &format!(r#"{{"messages": [], "parallel_tool_calls": {value}, "temperature": 1}}"#))
    };
    assert_eq!([calls("true"), calls("null")], [plain, plain]);
    assert_ne!(calls("false"), plain);
    assert_ne!(plain, RequestHash::of(&settings, Endpoint::Text, serde_json::from_str("{}").unwrap()));
}

#[test]
fn what_turns_a_sampler_off_is_no_change() {
    let mut off = GenerationOptions::default();
    off.sampling.mirostat = Some(MirostatMode::Off);
    (off.sampling.xtc_probability, off.sampling.dry_multiplier) = (Some(0.0), Some(0.0));
    (off.seed, off.max_tokens) = (Some(Seed::Random), Some(Limit::Unlimited));
    assert_eq!(Settings::of(&off), Settings::of(&GenerationOptions::default()));
}

/// Hashes as the first version of this file made them: interrupted batches resume only as long as they stay.
#[test]
fn hashes_stay_from_version_to_version() {
    let body = r#"{"messages": [{"role": "user", "content": "hi"}], "temperature": 1}"#;
    let text = |options: &GenerationOptions| hash(&Settings::of(options), body).text();
    let neutral = SamplingParams::neutral(0);
    let plain = GenerationOptions::recommended(&neutral);
    assert_eq!(text(&plain), "f5fb1261eea141ba0a55876d2a4b8863");
    assert_eq!(text(&GenerationOptions::default()), "f5fb1261eea141ba0a55876d2a4b8863");
    let recommended = SamplingParams { temperature: 0.6, top_k: 20, top_p: 0.95, min_p: 0.05, ..neutral };
    assert_eq!(text(&GenerationOptions::recommended(&recommended)), "ce32471804ef42fda317e1b3d2df8103");
    let mut all = GenerationOptions::recommended(&SamplingParams {
        penalties: Penalties { last: None, repeat: 1.1, frequency: 0.5, presence: -1.0 },
        dry: Some(Dry {
            base: 2.0,
            allowed_length: 3,
            last: Some(64),
            breakers: vec!["a".to_owned()],
            multiplier: 0.8,
        }),
        xtc: Some(Xtc { probability: 0.5, threshold: 0.2 }),
        mirostat: Some(Mirostat { version: MirostatVersion::V2, tau: 4.0, eta: 0.2 }),
        temperature_range: 0.5,
        temperature_exponent: 2.0,
        typical_p: 0.9,
        top_n_sigma: 2.0,
        logit_bias: vec![(Token(15), 1.5), (Token(16), f32::NEG_INFINITY)],
        ignore_end: true,
        order: vec![SamplerKind::TopK, SamplerKind::Temperature],
        ..recommended
    });
    all.rules = Some(Rules::JsonSchema("{}".to_owned()));
    all.max_tokens = Some(Limit::Tokens(5));
    all.stop = Some(vec!["end".to_owned()]);
    all.tools = Some(vec![json!({"type": "function", "function": {"name": "f"}})]);
    all.reasoning = Some(ReasoningMode::Off);
    all.template_variables.insert("effort".to_owned(), json!("low"));
    all.reasoning_budget = Some(Limit::Tokens(6));
    all.reasoning_budget_message = Some("Stop.".to_owned());
    all.seed = Some(Seed::Fixed(3));
    assert_eq!(text(&all), "34b2904bff6471365d7e49082ae44893");
}

#[test]
fn the_text_of_a_hash_is_read_again() {
    let hash = RequestHash::of_line(b"x");
    assert_eq!(RequestHash::parse(&hash.text()), Some(hash));
    assert_eq!(RequestHash::parse("00"), None);
    assert_eq!(hash.seed("a"), hash.seed("a"));
    assert_ne!(hash.seed("a"), hash.seed("b"));
}
