//! The probabilities of tokens in llama-server's forms.

use serde_json::{Map, Value, json};

use crate::engine::{SamplingParams, Token, TokenLogprob};
use crate::json::number;
use crate::openai::fields::wrong;
use crate::openai::logprobs::NEVER;
use crate::openai::refusal::Refusal;

/// Which probabilities a body has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probabilities {
    /// Logarithms of those that the model gives.
    Logprobs,
    /// Those after samplers that change nothing: the model's own.
    Unchanged,
    /// Those after greedy sampling: the chosen token is certain.
    Greedy,
}

impl Probabilities {
    /// The form for these parameters. `after` asks for probabilities after the samplers.
    ///
    /// # Errors
    ///
    /// When the samplers change the probabilities in another way than taking the most likely token.
    pub fn of(params: &SamplingParams, after: bool) -> Result<Self, Refusal> {
        match params {
            _ if !after => Ok(Self::Logprobs),
            _ if params.temperature <= 0.0 => Ok(Self::Greedy),
            _ if is_neutral(params) => Ok(Self::Unchanged),
            _ => {
                let expected = "false, or samplers without effect, or `temperature: 0`";
                Err(wrong("post_sampling_probs", &Value::Bool(true), expected))
            }
        }
    }

    /// `completion_probabilities`. `piece` returns the bytes of a token.
    pub(super) fn write(self, tokens: &[TokenLogprob], piece: &dyn Fn(Token) -> Vec<u8>) -> Value {
        let one = |token: Token, logprob: f32| {
            let bytes = piece(token);
            let mut shown = Map::new();
            shown.insert("id".to_owned(), json!(token.0));
            shown.insert("token".to_owned(), json!(String::from_utf8_lossy(&bytes)));
            shown.insert("bytes".to_owned(), json!(bytes));
            let (name, value) = match self {
                Self::Logprobs => ("logprob", logprob.max(NEVER)),
                Self::Unchanged => ("prob", logprob.exp()),
                Self::Greedy => ("prob", 1.0),
            };
            shown.insert(name.to_owned(), number(value));
            shown
        };
        let all = tokens.iter().map(|chosen| {
            let mut shown = one(chosen.token, chosen.logprob);
            let top: Vec<_> = match self {
                Self::Greedy => vec![one(chosen.token, chosen.logprob)],
                Self::Logprobs => chosen.top.iter().map(|&(token, logprob)| one(token, logprob)).collect(),
                Self::Unchanged => {
                    let possible = chosen.top.iter().filter(|(_, logprob)| logprob.exp() > 0.0);
                    possible.map(|&(token, logprob)| one(token, logprob)).collect()
                }
            };
            let name = if self == Self::Logprobs { "top_logprobs" } else { "top_probs" };
            shown.insert(name.to_owned(), json!(top));
            shown
        });
        all.map(Value::Object).collect()
    }
}

/// Whether no sampler changes a probability.
fn is_neutral(params: &SamplingParams) -> bool {
    let neutral = SamplingParams::neutral(params.seed);
    let rest = SamplingParams {
        penalties: neutral.penalties,
        order: neutral.order.clone(),
        temperature_exponent: neutral.temperature_exponent,
        logprobs: neutral.logprobs,
        ..params.clone()
    };
    params.penalties.is_neutral() && rest == neutral
}
