//! A grammar that applies from some point of the answer on.

use std::collections::HashSet;

use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::sampling::LlamaSampler;
use llama_cpp_2::token::LlamaToken;
use llama_cpp_2::token::data::LlamaTokenData;
use llama_cpp_2::token::data_array::LlamaTokenDataArray;

use super::gate::{Effect, Gate, NEWLINES, Verdict};
use super::schema;
use crate::engine::{Block, Grammar, Rules, SamplingError, Token};
use crate::llama::log;

/// Bytes of a grammar; larger ones cost too much memory.
const LONGEST: usize = 1 << 20;
/// Nested brackets; llama.cpp's parser recurses for each.
const DEEPEST: usize = 256;
/// The first rule of a grammar after a block: newlines may come between the block and the text of the rules.
const START: &str = "ggrun-start";

/// Keeps an answer within a grammar.
#[derive(Debug)]
pub(super) struct Guide {
    sampler: LlamaSampler,
    /// A sampler for the text after a block that the answer may open: by then, the other has advanced through the
    /// block's text. Both are created beforehand, because creating one takes long.
    spare: Option<LlamaSampler>,
    gate: Gate,
    /// The answer broke the rules: no token is allowed unless a block comes first. llama.cpp aborts the process when a
    /// grammar is used after a token that it forbids.
    is_lost: bool,
}

impl Guide {
    pub(super) fn new(model: &LlamaModel, grammar: &Grammar) -> Result<Self, SamplingError> {
        let rules = text(&grammar.rules)?;
        let refused = |reason: String| SamplingError::Grammar { reason };
        let (rules, root) = match grammar.after {
            None => (rules, "root"),
            Some(_) => (format!("{START} ::= [\\n]{{0,{NEWLINES}}} root\n{rules}"), START),
        };
        let make = || {
            let (made, log) = log::capture(|| LlamaSampler::grammar(model, &rules, root));
            made.map_err(|error| refused(if log.is_empty() { error.to_string() } else { log.join("; ") }))
        };
        let may_open = matches!(grammar.after, Some(Block { open: Some(_), .. }));
        let (sampler, spare) = (make()?, may_open.then(make).transpose()?);
        Ok(Self { sampler, spare, gate: Gate::new(grammar.after.as_ref()), is_lost: false })
    }

    /// Whether a token may come next.
    pub(super) fn allows(&mut self, model: &LlamaModel, token: Token) -> bool {
        let token = LlamaToken(token.0);
        match self.verdict(model, token) {
            Verdict::Yes => true,
            Verdict::No => false,
            Verdict::Rules => self.rules_allow(token),
        }
    }

    /// Sets the logits of all tokens that may not come next to minus infinity.
    pub(super) fn restrict(&mut self, model: &LlamaModel, candidates: &mut LlamaTokenDataArray) {
        if self.gate.is_open() && !self.is_lost {
            return self.sampler.apply(candidates);
        }
        let mut by_rules = HashSet::new();
        if !self.gate.is_inside() && !self.is_lost {
            let mut left = candidates.clone();
            self.sampler.apply(&mut left);
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
            Effect::Rules | Effect::Either => self.follow(token),
            Effect::Spilled => self.is_lost = true,
            Effect::Block => {
                self.is_lost = false;
                if let Some(spare) = self.spare.take() {
                    self.sampler = spare;
                }
            }
        }
    }

    /// Advances the rules, which may forbid a token that was forced.
    fn follow(&mut self, token: LlamaToken) {
        self.is_lost |= !self.rules_allow(token);
        if !self.is_lost {
            self.sampler.accept(token);
        }
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

    fn rules_allow(&mut self, token: LlamaToken) -> bool {
        if self.is_lost {
            return false;
        }
        let mut one = LlamaTokenDataArray::new(vec![LlamaTokenData::new(token, 0.0, 0.0)], false);
        self.sampler.apply(&mut one);
        one.data.first().is_some_and(|data| data.logit() > f32::NEG_INFINITY)
    }
}

/// The text of rules, schemas converted, within the limits.
pub(super) fn text(rules: &Rules) -> Result<String, SamplingError> {
    let text = match rules {
        Rules::Gbnf(text) => text.clone(),
        Rules::JsonSchema(schema) => schema::convert(schema)?,
        Rules::Composed { gbnf, schemas } => schema::compose(gbnf, schemas)?,
    };
    limits(&text).map_err(|reason| SamplingError::Grammar { reason })?;
    Ok(text)
}

fn limits(rules: &str) -> Result<(), String> {
    if rules.trim().is_empty() {
        return Err("it is empty".to_owned());
    }
    if rules.len() > LONGEST {
        return Err(format!("it has {} bytes, expected at most {LONGEST}", rules.len()));
    }
    let mut depth = 0usize;
    for byte in rules.bytes() {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEEPEST {
            return Err(format!("brackets are nested more than {DEEPEST} deep"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grammar_that_would_exhaust_the_parser_is_refused() {
        assert!(limits(&format!("root ::= {}", "(".repeat(300))).is_err());
        assert!(limits(&" ".repeat(LONGEST + 1)).is_err());
        assert!(limits(&format!("root ::= {}", "(a)".repeat(300))).is_ok());
    }
}
