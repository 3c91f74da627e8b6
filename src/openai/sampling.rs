//! Sampling fields, by llama-server's names, to parameters and back.

use serde_json::{Map, Value, json};

use super::Refusal;
use super::fields::{Fields, number, wrong};
use crate::engine::{Dry, Mirostat, MirostatVersion, SamplerKind, SamplingParams, Token, Xtc};

/// Puts what a body says on top of `params`. The seed is not among it: see [`super::Asked::seed`].
pub(super) fn read(fields: &mut Fields, params: &mut SamplingParams) -> Result<(), Refusal> {
    fn set<T>(value: &mut T, given: Option<T>) {
        if let Some(given) = given {
            *value = given;
        }
    }
    set(&mut params.temperature, fields.number("temperature")?);
    set(&mut params.temperature_range, fields.number("dynatemp_range")?);
    set(&mut params.temperature_exponent, fields.number("dynatemp_exponent")?);
    set(&mut params.top_k, fields.whole("top_k", -1)?.map(|k| u32::try_from(k).unwrap_or(0)));
    set(&mut params.top_p, fields.number("top_p")?);
    set(&mut params.min_p, fields.number("min_p")?);
    set(&mut params.typical_p, fields.number("typical_p")?);
    set(&mut params.top_n_sigma, fields.number("top_n_sigma")?);
    set(&mut params.penalties.last, fields.whole("repeat_last_n", -1)?.map(|n| u32::try_from(n).ok()));
    set(&mut params.penalties.repeat, fields.number("repeat_penalty")?);
    set(&mut params.penalties.presence, fields.number("presence_penalty")?);
    set(&mut params.penalties.frequency, fields.number("frequency_penalty")?);
    set(&mut params.ignore_end, fields.truth("ignore_eos")?);
    set(&mut params.order, fields.of("samplers", "a list of names of sampling steps", order)?);
    params.xtc = xtc(fields, params.xtc)?;
    params.dry = dry(fields, params.dry.take())?;
    params.mirostat = mirostat(fields, params.mirostat)?;
    if let Some(value) = fields.take("logit_bias") {
        let expected = "an object of biases by token number";
        params.logit_bias.extend(biases(&value).ok_or_else(|| wrong("logit_bias", &value, expected))?);
    }
    Ok(())
}

/// The fields that make `base` into these parameters. Seed, grammar and logprobs are not among them.
#[must_use]
pub fn write(params: &SamplingParams, base: &SamplingParams) -> Map<String, Value> {
    let mut fields = Map::new();
    let looked_back = |last: Option<u32>| last.map_or(json!(-1), |n| json!(n));
    let (ours, theirs) = (&params.penalties, &base.penalties);
    for (name, value, base) in [
        ("temperature", json!(params.temperature), json!(base.temperature)),
        ("dynatemp_range", json!(params.temperature_range), json!(base.temperature_range)),
        ("dynatemp_exponent", json!(params.temperature_exponent), json!(base.temperature_exponent)),
        ("top_k", json!(params.top_k), json!(base.top_k)),
        ("top_p", json!(params.top_p), json!(base.top_p)),
        ("min_p", json!(params.min_p), json!(base.min_p)),
        ("typical_p", json!(params.typical_p), json!(base.typical_p)),
        ("top_n_sigma", json!(params.top_n_sigma), json!(base.top_n_sigma)),
        ("repeat_last_n", looked_back(ours.last), looked_back(theirs.last)),
        ("repeat_penalty", json!(ours.repeat), json!(theirs.repeat)),
        ("presence_penalty", json!(ours.presence), json!(theirs.presence)),
        ("frequency_penalty", json!(ours.frequency), json!(theirs.frequency)),
        ("ignore_eos", json!(params.ignore_end), json!(base.ignore_end)),
        ("samplers", names(&params.order), names(&base.order)),
        ("logit_bias", pairs(&params.logit_bias), pairs(&base.logit_bias)),
    ] {
        if value != base {
            fields.insert(name.to_owned(), value);
        }
    }
    if params.xtc != base.xtc {
        let Xtc { probability, threshold } = params.xtc.unwrap_or(Xtc { probability: 0.0, threshold: 0.1 });
        fields.extend(named([("xtc_probability", json!(probability)), ("xtc_threshold", json!(threshold))]));
    }
    if params.dry != base.dry {
        let dry = params.dry.clone().unwrap_or_else(|| Dry::with_multiplier(0.0));
        fields.extend(named([
            ("dry_multiplier", json!(dry.multiplier)),
            ("dry_base", json!(dry.base)),
            ("dry_allowed_length", json!(dry.allowed_length)),
            ("dry_penalty_last_n", looked_back(dry.last)),
            ("dry_sequence_breakers", json!(dry.breakers)),
        ]));
    }
    if params.mirostat != base.mirostat {
        let version = params.mirostat.map_or(0, |mirostat| match mirostat.version {
            MirostatVersion::V1 => 1,
            MirostatVersion::V2 => 2,
        });
        fields.extend(named([("mirostat", json!(version))]));
        if let Some(Mirostat { tau, eta, .. }) = params.mirostat {
            fields.extend(named([("mirostat_tau", json!(tau)), ("mirostat_eta", json!(eta))]));
        }
    }
    fields
}

fn named<const N: usize>(fields: [(&str, Value); N]) -> impl Iterator<Item = (String, Value)> {
    fields.into_iter().map(|(name, value)| (name.to_owned(), value))
}

fn xtc(fields: &mut Fields, base: Option<Xtc>) -> Result<Option<Xtc>, Refusal> {
    let base = base.unwrap_or(Xtc { probability: 0.0, threshold: 0.1 });
    let probability = fields.number("xtc_probability")?.unwrap_or(base.probability);
    let threshold = fields.number("xtc_threshold")?.unwrap_or(base.threshold);
    Ok((probability != 0.0).then_some(Xtc { probability, threshold }))
}

fn dry(fields: &mut Fields, base: Option<Dry>) -> Result<Option<Dry>, Refusal> {
    let mut dry = base.unwrap_or_else(|| Dry::with_multiplier(0.0));
    dry.multiplier = fields.number("dry_multiplier")?.unwrap_or(dry.multiplier);
    dry.base = fields.number("dry_base")?.unwrap_or(dry.base);
    dry.allowed_length = fields.count("dry_allowed_length")?.unwrap_or(dry.allowed_length);
    dry.last = fields.whole("dry_penalty_last_n", -1)?.map_or(dry.last, |n| u32::try_from(n).ok());
    dry.breakers = fields.texts("dry_sequence_breakers")?.unwrap_or(dry.breakers);
    Ok((dry.multiplier != 0.0).then_some(dry))
}

fn mirostat(fields: &mut Fields, base: Option<Mirostat>) -> Result<Option<Mirostat>, Refusal> {
    let version = fields.of("mirostat", "0, 1 or 2", |value| match value.as_u64()? {
        0 => Some(None),
        1 => Some(Some(MirostatVersion::V1)),
        2 => Some(Some(MirostatVersion::V2)),
        _ => None,
    })?;
    let (tau, eta) = base.map_or((5.0, 0.1), |mirostat| (mirostat.tau, mirostat.eta));
    let tau = fields.number("mirostat_tau")?.unwrap_or(tau);
    let eta = fields.number("mirostat_eta")?.unwrap_or(eta);
    let version = version.unwrap_or(base.map(|mirostat| mirostat.version));
    Ok(version.map(|version| Mirostat { version, tau, eta }))
}

fn order(value: &Value) -> Option<Vec<SamplerKind>> {
    value.as_array()?.iter().map(|name| SamplerKind::named(name.as_str()?)).collect()
}

fn names(order: &[SamplerKind]) -> Value {
    order.iter().map(|kind| kind.name()).collect()
}

/// `{"15": -1.5}` as `OpenAI` has it, or `[[15, -1.5]]` as llama-server does; `false` forbids a token.
fn biases(value: &Value) -> Option<Vec<(Token, f32)>> {
    let bias =
        |value: &Value| if *value == Value::Bool(false) { Some(f32::NEG_INFINITY) } else { number(value) };
    match value {
        Value::Object(biases) => {
            biases.iter().map(|(token, value)| Some((Token(token.parse().ok()?), bias(value)?))).collect()
        }
        Value::Array(pairs) => pairs
            .iter()
            .map(|pair| match pair.as_array()?.as_slice() {
                [token, value] => Some((Token(i32::try_from(token.as_i64()?).ok()?), bias(value)?)),
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
