//! Translates sampling fields, by llama-server's names, to options and back.

use serde_json::{Map, Value, json};

use super::fields::{Fields, number, wrong};
use super::refusal::Refusal;
use crate::engine::{SamplerKind, Token};
use crate::session::{Limit, MirostatMode, SamplingOptions};

/// The maximum number of biases of a request. They are applied to every token, on the thread that all requests share.
pub const MOST_BIASES: usize = 1 << 16;

/// Takes the sampling fields.
pub(crate) fn read(fields: &mut Fields) -> Result<SamplingOptions, Refusal> {
    Ok(SamplingOptions {
        temperature: fields.number("temperature")?,
        temperature_range: fields.number("dynatemp_range")?,
        temperature_exponent: fields.number("dynatemp_exponent")?,
        top_k: fields.minus_one::<Limit>("top_k")?.map(|k| k.tokens().unwrap_or(0)),
        top_p: fields.number("top_p")?,
        min_p: fields.number("min_p")?,
        typical_p: fields.number("typical_p")?,
        top_n_sigma: fields.number("top_n_sigma")?,
        repeat_last_n: fields.minus_one("repeat_last_n")?,
        repeat_penalty: fields.number("repeat_penalty")?,
        presence_penalty: fields.number("presence_penalty")?,
        frequency_penalty: fields.number("frequency_penalty")?,
        ignore_end: fields.truth("ignore_eos")?,
        order: fields.of("samplers", "a list of sampler names", order)?,
        logit_bias: logit_bias(fields)?,
        xtc_probability: fields.number("xtc_probability")?,
        xtc_threshold: fields.number("xtc_threshold")?,
        dry_multiplier: fields.number("dry_multiplier")?,
        dry_base: fields.number("dry_base")?,
        dry_allowed_length: fields.count("dry_allowed_length")?,
        dry_last_n: fields.minus_one("dry_penalty_last_n")?,
        dry_breakers: fields.texts("dry_sequence_breakers")?,
        mirostat: fields.of("mirostat", "0, 1 or 2", |value| MirostatMode::from_number(value.as_u64()?))?,
        mirostat_tau: fields.number("mirostat_tau")?,
        mirostat_eta: fields.number("mirostat_eta")?,
    })
}

/// The fields of the options that are set. Reading them back gives the same options.
#[must_use]
pub fn write(options: &SamplingOptions) -> Map<String, Value> {
    let SamplingOptions {
        temperature,
        temperature_range,
        temperature_exponent,
        top_k,
        top_p,
        min_p,
        typical_p,
        top_n_sigma,
        repeat_last_n,
        repeat_penalty,
        presence_penalty,
        frequency_penalty,
        ignore_end,
        order,
        logit_bias,
        xtc_probability,
        xtc_threshold,
        dry_multiplier,
        dry_base,
        dry_allowed_length,
        dry_last_n,
        dry_breakers,
        mirostat,
        mirostat_tau,
        mirostat_eta,
    } = options;
    let limit = |limit: &Option<Limit>| limit.map(|limit| limit.tokens().map_or(json!(-1), |n| json!(n)));
    let all = [
        ("temperature", temperature.map(|x| json!(x))),
        ("dynatemp_range", temperature_range.map(|x| json!(x))),
        ("dynatemp_exponent", temperature_exponent.map(|x| json!(x))),
        ("top_k", top_k.map(|n| json!(n))),
        ("top_p", top_p.map(|x| json!(x))),
        ("min_p", min_p.map(|x| json!(x))),
        ("typical_p", typical_p.map(|x| json!(x))),
        ("top_n_sigma", top_n_sigma.map(|x| json!(x))),
        ("repeat_last_n", limit(repeat_last_n)),
        ("repeat_penalty", repeat_penalty.map(|x| json!(x))),
        ("presence_penalty", presence_penalty.map(|x| json!(x))),
        ("frequency_penalty", frequency_penalty.map(|x| json!(x))),
        ("ignore_eos", ignore_end.map(|x| json!(x))),
        ("samplers", order.as_deref().map(names)),
        ("logit_bias", (!logit_bias.is_empty()).then(|| pairs(logit_bias))),
        ("xtc_probability", xtc_probability.map(|x| json!(x))),
        ("xtc_threshold", xtc_threshold.map(|x| json!(x))),
        ("dry_multiplier", dry_multiplier.map(|x| json!(x))),
        ("dry_base", dry_base.map(|x| json!(x))),
        ("dry_allowed_length", dry_allowed_length.map(|n| json!(n))),
        ("dry_penalty_last_n", limit(dry_last_n)),
        ("dry_sequence_breakers", dry_breakers.as_ref().map(|texts| json!(texts))),
        ("mirostat", mirostat.map(|mode| json!(mode.number()))),
        ("mirostat_tau", mirostat_tau.map(|x| json!(x))),
        ("mirostat_eta", mirostat_eta.map(|x| json!(x))),
    ];
    all.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

fn order(value: &Value) -> Option<Vec<SamplerKind>> {
    value.as_array()?.iter().map(|name| SamplerKind::named(name.as_str()?)).collect()
}

fn names(order: &[SamplerKind]) -> Value {
    order.iter().map(|kind| kind.name()).collect()
}

fn logit_bias(fields: &mut Fields) -> Result<Vec<(Token, f32)>, Refusal> {
    let Some(value) = fields.take("logit_bias") else { return Ok(Vec::new()) };
    let token = |(biased, bias)| match biased {
        Biased::Token(token) => Some((token, bias)),
        Biased::Text(_) => None,
    };
    let read: Option<Vec<_>> = biases(&value).and_then(|all| all.into_iter().map(token).collect());
    read.ok_or_else(|| wrong("logit_bias", &value, "an object of biases by token number"))
}

/// What a bias applies to.
pub(super) enum Biased {
    /// A token.
    Token(Token),
    /// Each token of a text, as in llama-server.
    Text(String),
}

/// `{"15": -1.5}`, as in `OpenAI`'s API, or `[[15, -1.5]]`, as in llama-server; `false` forbids a token. `None` if it has
/// another form, or there are too many.
pub(super) fn biases(value: &Value) -> Option<Vec<(Biased, f32)>> {
    let bias =
        |value: &Value| if *value == Value::Bool(false) { Some(f32::NEG_INFINITY) } else { number(value) };
    let named = |name: &str| match name.parse() {
        Ok(token) => Biased::Token(Token(token)),
        Err(_) => Biased::Text(name.to_owned()),
    };
    let target = |value: &Value| match value {
        Value::String(text) => Some(Biased::Text(text.clone())),
        number => Some(Biased::Token(Token(i32::try_from(number.as_i64()?).ok()?))),
    };
    match value {
        Value::Object(all) if all.len() <= MOST_BIASES => {
            all.iter().map(|(name, value)| Some((named(name), bias(value)?))).collect()
        }
        Value::Array(pairs) if pairs.len() <= MOST_BIASES => pairs
            .iter()
            .map(|pair| match pair.as_array()?.as_slice() {
                [token, value] => Some((target(token)?, bias(value)?)),
                _ => None,
            })
            .collect(),
        _ => None,
    }
}

fn pairs(biases: &[(Token, f32)]) -> Value {
    let bias = |bias: f32| if bias == f32::NEG_INFINITY { Value::Bool(false) } else { json!(bias) };
    biases.iter().map(|&(token, value)| json!([token.0, bias(value)])).collect()
}
