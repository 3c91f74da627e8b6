//! Refuses sampling parameters with which llama.cpp would produce nonsense or end the process.

use llama_cpp_2::model::LlamaModel;

use super::grammar;
use super::words::Words;
use crate::engine::{SamplingError, SamplingParams};

/// Log probabilities of more tokens are not useful, and cost time with every token.
const MOST_LOGPROBS: u32 = 100;

/// Checks sampling parameters, which includes compiling the grammar.
pub(in crate::llama) fn check(
    model: &LlamaModel,
    words: &Words,
    params: &SamplingParams,
) -> Result<(), SamplingError> {
    values(model, params)?;
    params.grammar.as_ref().map_or(Ok(()), |grammar| grammar::Guide::new(model, words, grammar).map(drop))
}

/// Checks everything except the grammar.
pub(super) fn values(model: &LlamaModel, params: &SamplingParams) -> Result<(), SamplingError> {
    check_values(params)?;
    let size = u32::try_from(model.n_vocab()).unwrap_or(0);
    for &(token, _) in &params.logit_bias {
        if u32::try_from(token.0).map_or(true, |n| n >= size) {
            return Err(SamplingError::Token { token: token.0, size });
        }
    }
    Ok(())
}

/// Whether the values are within their ranges, whatever the model.
///
/// # Errors
///
/// When one is not.
pub fn check_values(params: &SamplingParams) -> Result<(), SamplingError> {
    numbers(params)?;
    for &(_, bias) in &params.logit_bias {
        within("a logit bias", bias, bias < f32::INFINITY, "a number or minus infinity")?;
    }
    match params.logprobs {
        Some(asked) if asked > MOST_LOGPROBS => Err(SamplingError::Logprobs { asked, most: MOST_LOGPROBS }),
        _ => Ok(()),
    }
}

fn numbers(params: &SamplingParams) -> Result<(), SamplingError> {
    let share = "a number from 0 to 1";
    for (what, value) in [
        ("temperature", params.temperature),
        ("the range of the temperature", params.temperature_range),
        ("the exponent of the temperature", params.temperature_exponent),
        ("top-n-sigma", params.top_n_sigma),
        ("the frequency penalty", params.penalties.frequency),
        ("the presence penalty", params.penalties.presence),
    ] {
        within(what, value, value.is_finite(), "a number")?;
    }
    for (what, value) in [("top-p", params.top_p), ("min-p", params.min_p), ("typical-p", params.typical_p)] {
        within(what, value, (0.0..=1.0).contains(&value), share)?;
    }
    let repeat = params.penalties.repeat;
    within("the repeat penalty", repeat, repeat.is_finite() && repeat > 0.0, "a number above 0")?;
    if let Some(dry) = &params.dry {
        within("the multiplier of DRY", dry.multiplier, dry.multiplier.is_finite(), "a number")?;
        within(
            "the base of DRY",
            dry.base,
            dry.base.is_finite() && dry.base >= 1.0,
            "a number of at least 1",
        )?;
        if dry.breakers.iter().any(|text| text.contains('\0')) {
            return Err(SamplingError::Breaker);
        }
    }
    if let Some(xtc) = &params.xtc {
        for (what, value) in
            [("the probability of XTC", xtc.probability), ("the threshold of XTC", xtc.threshold)]
        {
            within(what, value, (0.0..=1.0).contains(&value), share)?;
        }
    }
    if let Some(mirostat) = &params.mirostat {
        for (what, value) in [("mirostat's tau", mirostat.tau), ("mirostat's eta", mirostat.eta)] {
            within(what, value, value.is_finite() && value >= 0.0, "a number of at least 0")?;
        }
    }
    Ok(())
}

fn within(what: &'static str, value: f32, ok: bool, expected: &'static str) -> Result<(), SamplingError> {
    if ok { Ok(()) } else { Err(SamplingError::Value { what, value, expected }) }
}
