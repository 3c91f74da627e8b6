//! A request body as data.

use serde_json::{Map, Value, json};

use crate::engine::Token;
use crate::openai::endpoint::Endpoint;
use crate::openai::fields::{Fields, wrong};
use crate::openai::refusal::Refusal;
use crate::openai::request::{self, Asked};
use crate::openai::sampling::{Biased, biases};
use crate::session::Logprobs;

/// Known fields that have no effect, as the state is never shifted and sampling has no other place.
const WITHOUT_EFFECT: [&str; 5] =
    ["n_keep", "n_discard", "n_cache_reuse", "adaptive_decay", "backend_sampling"];
/// The largest `n_probs`.
const MOST_PROBABILITIES: u32 = 100;
/// Texts in `logit_bias`, and their bytes.
const MOST_TEXTS: usize = 1024;
const MOST_BYTES: usize = 64 << 10;

/// A parsed request body.
#[derive(Debug, Clone, PartialEq)]
pub struct Completion {
    /// What it has in common with `/v1/completions`.
    pub asked: Asked,
    /// `return_tokens`: the body has the tokens of the answer.
    pub return_tokens: bool,
    /// `post_sampling_probs`: probabilities after the samplers instead of before them.
    pub post_sampling: bool,
    /// `response_fields`: the fields of the body; empty if all are wanted.
    pub response_fields: Vec<String>,
    /// Texts in `logit_bias`, each of whose tokens has the bias.
    pub text_biases: Vec<(String, f32)>,
}

/// Reads a body.
///
/// # Errors
///
/// When a field is missing, or its value has the wrong type or range or is not supported.
pub fn read(body: Map<String, Value>) -> Result<Completion, Refusal> {
    let mut fields = Fields::new(body);
    let return_tokens = fields.truth("return_tokens")?.unwrap_or(false);
    let post_sampling = fields.truth("post_sampling_probs")?.unwrap_or(false);
    let response_fields = fields.of("response_fields", "a list of strings", names)?.unwrap_or_default();
    let (tokens, text_biases) = logit_bias(&mut fields)?;
    let n_probs = fields.count("n_probs")?;
    let n_cmpl = fields.count("n_cmpl")?;
    refuse_unsupported(&mut fields)?;
    for name in WITHOUT_EFFECT {
        fields.take(name);
    }
    let mut asked = request::take(Endpoint::Text, fields)?;
    if let Some(count) = n_cmpl {
        if asked.choices != 1 && asked.choices != count {
            return Err(Refusal::Conflict { field: "n_cmpl", other: "n" });
        }
        asked.choices = request::choices("n_cmpl", count, &asked.prompt)?;
    }
    asked.options.sampling.logit_bias = tokens;
    let count = match (n_probs, asked.options.logprobs) {
        (Some(count), _) | (None, Some(Logprobs::Top(count))) => Some(count),
        (None, Some(Logprobs::Off)) => Some(0),
        (None, None) => None,
    };
    if let Some(count) = count.filter(|count| *count > MOST_PROBABILITIES) {
        return Err(wrong("n_probs", &json!(count), "a number from 0 to 100"));
    }
    asked.options.logprobs = count.map(|count| if count > 0 { Logprobs::Top(count) } else { Logprobs::Off });
    Ok(Completion { asked, return_tokens, post_sampling, response_fields, text_biases })
}

fn names(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|name| name.as_str().map(str::to_owned)).collect()
}

/// A field, its supported values, and whether a value is one.
type Supported = (&'static str, &'static str, fn(&Value) -> bool);

/// Refuses values that would change the answer.
fn refuse_unsupported(fields: &mut Fields) -> Result<(), Refusal> {
    let is_zero = |value: &Value| value.as_i64() == Some(0);
    let is_unlimited = |value: &Value| value.as_i64().is_some_and(|limit| [0, -1].contains(&limit));
    let is_negative = |value: &Value| value.as_f64().is_some_and(|number| number < 0.0);
    let is_false = |value: &Value| *value == Value::Bool(false);
    let is_empty = |value: &Value| value.as_array().is_some_and(Vec::is_empty);
    let all: [Supported; 8] = [
        ("n_indent", "0", is_zero),
        ("min_keep", "0", is_zero),
        ("t_max_predict_ms", "0", is_unlimited),
        ("adaptive_target", "a negative number", is_negative),
        ("lora", "an empty list", is_empty),
        ("grammar_lazy", "false", is_false),
        ("grammar_triggers", "an empty list", is_empty),
        ("preserved_tokens", "an empty list", is_empty),
    ];
    for (name, expected, is_supported) in all {
        if let Some(value) = fields.take(name).filter(|value| !is_supported(value)) {
            return Err(wrong(name, &value, expected));
        }
    }
    Ok(())
}

/// Biases of tokens and of texts.
type Biases = (Vec<(Token, f32)>, Vec<(String, f32)>);

fn logit_bias(fields: &mut Fields) -> Result<Biases, Refusal> {
    let Some(value) = fields.take("logit_bias") else { return Ok(Biases::default()) };
    let refused = || wrong("logit_bias", &value, "biases by token number or text");
    let (mut tokens, mut texts) = Biases::default();
    for (biased, bias) in biases(&value).ok_or_else(refused)? {
        match biased {
            Biased::Token(token) => tokens.push((token, bias)),
            Biased::Text(text) => texts.push((text, bias)),
        }
    }
    let bytes: usize = texts.iter().map(|(text, _)| text.len()).sum();
    if texts.len() > MOST_TEXTS || bytes > MOST_BYTES {
        return Err(wrong("logit_bias", &value, "at most 1024 texts of 65536 bytes in all"));
    }
    Ok((tokens, texts))
}
