//! A grammar that applies from some point of the answer on.

use std::collections::HashSet;

use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::token::LlamaToken;
use llama_cpp_2::token::data::LlamaTokenData;
use llama_cpp_2::token::data_array::LlamaTokenDataArray;

use super::gate::{Effect, Gate, Verdict};
use super::matching::Matching;
use super::words::Words;
use crate::engine::{Grammar, SamplingError, Token};

/// Keeps an answer within a grammar.
#[derive(Debug)]
pub(super) struct Guide {
    rules: Matching,
    gate: Gate,
    /// The answer broke the rules: no token is allowed unless a block comes first.
    is_lost: bool,
}

impl Guide {
    pub(super) fn new(model: &LlamaModel, words: &Words, grammar: &Grammar) -> Result<Self, SamplingError> {
        let rules = Matching::new(model, words, grammar)?;
        Ok(Self { rules, gate: Gate::new(grammar.after.as_ref()), is_lost: false })
    }

    /// Whether a token may come next.
    pub(super) fn allows(&mut self, model: &LlamaModel, token: Token) -> bool {
        let token = LlamaToken(token.0);
        match self.verdict(model, token) {
            Verdict::Yes => true,
            Verdict::No => false,
            Verdict::Rules => !self.is_lost && self.rules.allows(model, token),
        }
    }

    /// Sets the logits of all tokens that may not come next to minus infinity.
    pub(super) fn restrict(&mut self, model: &LlamaModel, candidates: &mut LlamaTokenDataArray) {
        if self.gate.is_open() && !self.is_lost {
            return self.rules.restrict(model, candidates);
        }
        let mut by_rules = HashSet::new();
        if self.gate.asks_rules() && !self.is_lost {
            let mut left = candidates.clone();
            self.rules.restrict(model, &mut left);
            let allowed = left.data.iter().filter(|data| data.logit() > f32::NEG_INFINITY);
            by_rules.extend(allowed.map(LlamaTokenData::id));
        }
        for data in &mut candidates.data {
            let allowed = match self.verdict(model, data.id()) {
                Verdict::Yes => true,
                Verdict::No => false,
                Verdict::Rules => by_rules.contains(&data.id()),
            };
            if !allowed {
                data.set_logit(f32::NEG_INFINITY);
            }
        }
    }

    /// Advances by a token of the answer.
    pub(super) fn accept(&mut self, model: &LlamaModel, token: Token) {
        let token = LlamaToken(token.0);
        match self.gate.accept(&model.vocab().token_to_piece(token, true, None)) {
            // A token that was forced may be forbidden.
            Effect::Rules | Effect::Either => self.is_lost = self.is_lost || !self.rules.accept(model, token),
            Effect::Spilled => self.is_lost = true,
            Effect::Block => {
                self.is_lost = false;
                self.rules.restart();
            }
        }
    }

    /// Why the rules could not be applied, if they could not.
    pub(super) fn failure(&self) -> Option<String> {
        self.rules.failure()
    }

    fn verdict(&self, model: &LlamaModel, token: LlamaToken) -> Verdict {
        let vocab = model.vocab();
        if self.gate.is_open() {
            return Verdict::Rules;
        }
        // Without the text, which takes long to get for every token of the vocabulary. A token that has the whole closing
        // tag and text behind it ends the request.
        if self.gate.is_inside() && !self.gate.is_closing() {
            return if vocab.is_eog(token) { Verdict::No } else { Verdict::Yes };
        }
        self.gate.allows(&vocab.token_to_piece(token, true, None), vocab.is_eog(token))
    }
}
