//! The options of an answer under llama-server's names.

use serde_json::{Map, Value, json};

use crate::engine::{Dry, Grammar, Mirostat, MirostatVersion, Rules, SamplingParams, Token, Xtc};
use crate::json::number;
use crate::openai::sampling;
use crate::session::{Limit, MirostatMode, SamplingOptions};

/// `generation_settings`: all sampling values, those of samplers that are off included, and the limits of an answer.
/// `ends` are the tokens that end an answer: they are among the biases if they are ignored.
#[must_use]
pub fn generation_settings(
    params: &SamplingParams,
    max_tokens: Option<u32>,
    stop: &[String],
    ends: &[Token],
) -> Value {
    let most = max_tokens.map_or(json!(-1), |tokens| json!(tokens));
    let SamplingParams { seed, grammar, logprobs, .. } = params;
    let (gbnf, schema) = match grammar.as_ref().map(|Grammar { rules, .. }| &**rules) {
        Some(Rules::Gbnf(text)) => (text.as_str(), Value::Null),
        Some(Rules::JsonSchema(text)) => ("", serde_json::from_str(text).unwrap_or(Value::Null)),
        Some(Rules::Composed { .. }) | None => ("", Value::Null),
    };
    let mut settings = samplers(params, ends);
    let rest = json!({
        "seed": seed,
        "n_predict": most,
        "max_tokens": most,
        "stop": stop,
        "n_probs": logprobs.unwrap_or(0),
        "grammar": gbnf,
        "json_schema": schema,
        "adaptive_target": -1.0,
        "adaptive_decay": 0.0,
        "n_keep": 0,
        "n_discard": 0,
        "min_keep": 0,
        "lora": [],
        "backend_sampling": false,
    });
    if let Value::Object(rest) = rest {
        settings.extend(rest);
    }
    Value::Object(settings)
}

/// The sampling values.
fn samplers(params: &SamplingParams, ends: &[Token]) -> Map<String, Value> {
    let ends = if params.ignore_end { ends } else { &[] };
    let dry = params.dry.clone().unwrap_or_else(|| Dry::with_multiplier(0.0));
    let xtc = params.xtc.unwrap_or_else(|| Xtc::with_probability(0.0));
    let mirostat = params.mirostat.unwrap_or_else(|| Mirostat::new(MirostatVersion::V2));
    let all = SamplingOptions {
        dry_multiplier: Some(dry.multiplier),
        dry_base: Some(dry.base),
        dry_allowed_length: Some(dry.allowed_length),
        dry_last_n: Some(Limit::from(dry.last)),
        dry_breakers: Some(dry.breakers),
        xtc_probability: Some(xtc.probability),
        xtc_threshold: Some(xtc.threshold),
        mirostat: Some(
            params.mirostat.map_or(MirostatMode::Off, |mirostat| MirostatMode::On(mirostat.version)),
        ),
        mirostat_tau: Some(mirostat.tau),
        mirostat_eta: Some(mirostat.eta),
        logit_bias: Vec::new(),
        ..SamplingOptions::of(params)
    };
    let mut written = sampling::write(&all);
    let biases = params.logit_bias.iter().copied();
    let ends = ends.iter().map(|token| (*token, f32::NEG_INFINITY));
    let shown = biases.chain(ends).map(|(token, bias)| {
        // Minus infinity is null in JSON, as in llama-server.
        let bias = if bias == f32::NEG_INFINITY { Value::Null } else { number(bias) };
        json!({ "token": token.0, "bias": bias })
    });
    written.insert("logit_bias".to_owned(), shown.collect());
    written
}
