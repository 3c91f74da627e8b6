//! Chooses a token from logits: the likeliest, or by llama.cpp's chain in llama.cpp's order.

use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::sampling::LlamaSampler;

use crate::engine::{SamplingParams, Token};

/// How one request chooses.
#[derive(Debug)]
pub(super) enum Sampler {
    /// The likeliest; the first of equals.
    Greedy,
    /// Top-k, top-p, min-p, temperature, then by chance.
    Chain(LlamaSampler),
}

impl Sampler {
    pub(super) fn new(params: &SamplingParams) -> Self {
        let &SamplingParams { temperature, top_k, top_p, min_p, seed } = params;
        if temperature.is_nan() || temperature <= 0.0 {
            return Self::Greedy;
        }
        let mut chain = Vec::new();
        if top_k > 0 {
            chain.push(LlamaSampler::top_k(i32::try_from(top_k).unwrap_or(i32::MAX)));
        }
        if top_p < 1.0 {
            chain.push(LlamaSampler::top_p(top_p, 1));
        }
        if min_p > 0.0 {
            chain.push(LlamaSampler::min_p(min_p, 1));
        }
        chain.extend([LlamaSampler::temp(temperature), LlamaSampler::dist(seed)]);
        Self::Chain(LlamaSampler::chain(chain, true))
    }

    /// The token after row `index` of the last batch, or `None` when its logits are not numbers, on which
    /// llama.cpp's samplers would end the process.
    pub(super) fn pick(&mut self, context: &LlamaContext<'_>, index: i32) -> Option<Token> {
        let best = likeliest(context.get_logits_ith(index))?;
        match self {
            Self::Greedy => Some(best),
            Self::Chain(chain) => Some(Token(chain.sample(context, index).0)),
        }
    }
}

/// The first of the largest logits; `None` when there is none or one of them is not a number.
fn likeliest(logits: &[f32]) -> Option<Token> {
    let mut best = (0i32, f32::NEG_INFINITY);
    for (token, &logit) in (0i32..).zip(logits) {
        if logit.is_nan() {
            return None;
        }
        if logit > best.1 {
            best = (token, logit);
        }
    }
    best.1.is_finite().then_some(Token(best.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_likeliest_is_the_first_of_the_largest() {
        assert_eq!(likeliest(&[0.0, 2.0, 2.0, 1.0]), Some(Token(1)));
        assert_eq!(likeliest(&[f32::NEG_INFINITY, -3.0]), Some(Token(1)));
    }

    #[test]
    fn logits_that_are_not_numbers_choose_nothing() {
        assert_eq!(likeliest(&[0.0, f32::NAN]), None);
        assert_eq!(likeliest(&[0.0, f32::INFINITY]), None);
        assert_eq!(likeliest(&[f32::NEG_INFINITY; 3]), None);
        assert_eq!(likeliest(&[]), None);
    }
}
