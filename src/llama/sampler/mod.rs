//! Samples a token from logits: the most likely one, or with llama.cpp's chain, and within a grammar if there is one.
//!
//! A sampler is created on the thread of the request's caller and used on the engine's. This is safe in b11434: its
//! samplers own the data that they change (`llama_sampler_chain`, `llama_sampler_grammar`: their grammar, stacks and
//! random state), share only the model's vocabulary, which nothing writes after the load, and use no thread-local
//! state. The binding's `Send` says the same. Cloning a grammar (`llama_sampler_clone`) copies its rules and state, and
//! searches all rules for every element of a stack; a sampler is moved instead. Schemas have llguidance's matchers, which
//! share only the prepared vocabulary of the model.

mod chain;
mod check;
mod gate;
mod grammar;
mod logprobs;
mod matching;
mod rules;
mod words;

use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::sampling::LlamaSampler;
use llama_cpp_2::token::LlamaToken;
use llama_cpp_2::token::data::LlamaTokenData;
use llama_cpp_2::token::data_array::LlamaTokenDataArray;

use crate::engine::{SamplingError, SamplingParams, Token, TokenLogprob};
pub(super) use check::check;
pub use check::check_values;
use grammar::Guide;
pub use rules::check_rules;
pub(super) use words::Words;

/// The sampler of one request.
#[derive(Debug)]
pub(super) struct Sampler {
    /// `None` takes the most likely token; among equals, the first.
    chain: Option<LlamaSampler>,
    guide: Option<Guide>,
    ignore_end: bool,
    logprobs: Option<u32>,
}

/// Why no token can be sampled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NoToken {
    /// A logit is not finite.
    NotANumber,
    /// The grammar forbids every token.
    Forbidden,
    /// The grammar could not be applied, for this reason.
    Failed(String),
}

impl Sampler {
    /// Checks the parameters and makes a sampler that has seen `prompt`; it looks back `context` tokens at most.
    pub(super) fn new(
        model: &LlamaModel,
        words: &Words,
        params: &SamplingParams,
        prompt: &[Token],
        context: u32,
    ) -> Result<Self, SamplingError> {
        check::values(model, params)?;
        let guide = params.grammar.as_ref().map(|grammar| Guide::new(model, words, grammar)).transpose()?;
        let mut chain = chain::chain(model, params, context);
        if let Some(chain) = &mut chain {
            let seen = prompt.len().saturating_sub(context as usize);
            accept(chain, &prompt[seen..]);
        }
        Ok(Self { chain, guide, ignore_end: params.ignore_end, logprobs: params.logprobs })
    }

    /// Samples the token after token `index` of the last batch. llama.cpp's samplers would end the process on logits
    /// that are not finite.
    pub(super) fn pick(
        &mut self,
        model: &LlamaModel,
        context: &LlamaContext<'_>,
        index: i32,
    ) -> Result<Token, NoToken> {
        let best = most_likely(context.get_logits_ith(index)).ok_or(NoToken::NotANumber)?;
        let free = match &mut self.chain {
            None => best,
            Some(chain) => select(chain, context.token_data_array_ith(index)).unwrap_or(best),
        };
        let mut token = free;
        if let Some(guide) = &mut self.guide
            && !guide.allows(model, free)
        {
            let mut left = context.token_data_array_ith(index);
            guide.restrict(model, &mut left);
            let best =
                best_of(&left).ok_or_else(|| guide.failure().map_or(NoToken::Forbidden, NoToken::Failed))?;
            token = match &mut self.chain {
                // The end of the grammar ends the answer, whether the model may choose to end it or not.
                Some(_) if self.ignore_end && ends_only(model, &left) => best,
                None => best,
                Some(chain) => select(chain, left).unwrap_or(best),
            };
            // A bias may forbid all that the grammar allows; the chain chooses among equals then.
            if !guide.allows(model, token) {
                return Err(NoToken::Forbidden);
            }
        }
        self.accept(model, &[token]);
        Ok(token)
    }

    /// The log probability of a token after token `index`, if requested.
    pub(super) fn logprob(
        &self,
        context: &LlamaContext<'_>,
        index: i32,
        token: Token,
    ) -> Option<TokenLogprob> {
        let count = self.logprobs?;
        Some(logprobs::token_logprob(context.get_logits_ith(index), token, count))
    }

    /// Passes tokens of the answer to the chain and the grammar.
    pub(super) fn accept(&mut self, model: &LlamaModel, tokens: &[Token]) {
        if let Some(chain) = &mut self.chain {
            accept(chain, tokens);
        }
        if let Some(guide) = &mut self.guide {
            for &token in tokens {
                guide.accept(model, token);
            }
        }
    }
}

fn accept(chain: &mut LlamaSampler, tokens: &[Token]) {
    chain.accept_many(tokens.iter().map(|token| LlamaToken(token.0)));
}

fn select(chain: &mut LlamaSampler, mut candidates: LlamaTokenDataArray) -> Option<Token> {
    chain.apply(&mut candidates);
    candidates.selected_token().map(|token| Token(token.0))
}

/// Whether all candidates that are left end the answer.
fn ends_only(model: &LlamaModel, candidates: &LlamaTokenDataArray) -> bool {
    let vocab = model.vocab();
    possible(candidates).all(|data| vocab.is_eog(data.id()))
}

fn best_of(candidates: &LlamaTokenDataArray) -> Option<Token> {
    possible(candidates).max_by(|a, b| a.logit().total_cmp(&b.logit())).map(|data| Token(data.id().0))
}

/// The candidates that are not forbidden.
fn possible(candidates: &LlamaTokenDataArray) -> impl Iterator<Item = &LlamaTokenData> {
    candidates.data.iter().filter(|data| data.logit() > f32::NEG_INFINITY)
}

/// The first of the largest logits; `None` without logits or if one is not finite.
///
/// Runs for every token over the whole vocabulary while the other threads wait, so compilers must be able to vectorize
/// the first pass.
fn most_likely(logits: &[f32]) -> Option<Token> {
    const LANES: usize = 16;
    let (chunks, rest) = logits.as_chunks::<LANES>();
    let (mut most, mut wrong) = ([f32::NEG_INFINITY; LANES], [false; LANES]);
    for chunk in chunks {
        for lane in 0..LANES {
            most[lane] = if chunk[lane] > most[lane] { chunk[lane] } else { most[lane] };
            wrong[lane] |= chunk[lane].is_nan();
        }
    }
    if wrong.contains(&true) || rest.iter().any(|logit| logit.is_nan()) {
        return None;
    }
    let most = most.iter().chain(rest).copied().fold(f32::NEG_INFINITY, f32::max);
    let first = logits.iter().position(|&logit| logit >= most)?;
    most.is_finite().then(|| Token(i32::try_from(first).unwrap_or(i32::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_likely_token_is_the_first_of_the_largest() {
        assert_eq!(most_likely(&[0.0, 2.0, 2.0, 1.0]), Some(Token(1)));
        assert_eq!(most_likely(&[f32::NEG_INFINITY, -3.0]), Some(Token(1)));
    }

    #[test]
    fn logits_that_are_not_finite_give_no_token() {
        assert_eq!(most_likely(&[0.0, f32::NAN]), None);
        assert_eq!(most_likely(&[0.0, f32::INFINITY]), None);
        assert_eq!(most_likely(&[f32::NEG_INFINITY; 3]), None);
        assert_eq!(most_likely(&[]), None);
        let mut many = [1.0; 100];
        (many[40], many[63], many[98]) = (2.0, 2.0, f32::NAN);
        assert_eq!(most_likely(&many[..98]), Some(Token(40)));
        assert_eq!(most_likely(&many), None);
        many[98] = 3.0;
        assert_eq!(most_likely(&many), Some(Token(98)));
        many[5] = f32::NAN;
        assert_eq!(most_likely(&many), None);
    }
}
