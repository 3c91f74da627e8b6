//! The two matchers of answers behind one interface: llama.cpp's for GBNF, llguidance's for schemas.

use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::sampling::LlamaSampler;
use llama_cpp_2::token::LlamaToken;
use llama_cpp_2::token::data::LlamaTokenData;
use llama_cpp_2::token::data_array::LlamaTokenDataArray;

use super::gate::NEWLINES;
use super::words::Words;
use crate::engine::{Block, Grammar, Rules, SamplingError};
use crate::grammar::{Gbnf, Invalid, Matcher, Source, Vocabulary};
use crate::llama::log;

/// The first rule of a grammar after a block: newlines may come between the block and the text of the rules.
const START: &str = "ggrun-start";

/// The state of an answer within its rules.
#[derive(Debug)]
pub(super) enum Matching {
    Gbnf {
        sampler: LlamaSampler,
        /// A sampler for the text after a block that the answer may open: by then, the other has advanced through the
        /// block's text. Both are created beforehand, because creating one takes long.
        spare: Option<LlamaSampler>,
    },
    Schema(Box<Matcher>),
}

impl Matching {
    pub(super) fn new(model: &LlamaModel, words: &Words, grammar: &Grammar) -> Result<Self, SamplingError> {
        let newlines = match &grammar.after {
            Some(block) if block.headers.is_empty() => NEWLINES,
            // What comes behind a header is content.
            _ => 0,
        };
        let Rules::Gbnf(text) = &*grammar.rules else {
            let matcher = matcher(&grammar.rules, newlines, words.of(model).map_err(error)?)?;
            return Ok(Self::Schema(Box::new(matcher)));
        };
        Gbnf::check(text).map_err(|reason| SamplingError::Grammar { reason })?;
        let (rules, root) = match newlines {
            0 => (text.clone(), "root"),
            _ => (format!("{START} ::= [\\n]{{0,{NEWLINES}}} root\n{text}"), START),
        };
        let make = || {
            let (made, lines) = log::capture(|| LlamaSampler::grammar(model, &rules, root));
            made.map_err(|error| SamplingError::Grammar { reason: log::reason(&lines, error) })
        };
        // With headers, the sampler has not advanced through the text before them.
        let may_open =
            matches!(&grammar.after, Some(Block { open: Some(_), headers, .. }) if headers.is_empty());
        Ok(Self::Gbnf { sampler: make()?, spare: may_open.then(make).transpose()? })
    }

    /// Whether a token may come next.
    pub(super) fn allows(&mut self, model: &LlamaModel, token: LlamaToken) -> bool {
        match self {
            Self::Gbnf { sampler, .. } => admits(sampler, token),
            Self::Schema(matcher) if model.vocab().is_eog(token) => matcher.may_end(),
            Self::Schema(matcher) => u32::try_from(token.0).is_ok_and(|token| matcher.allows(token)),
        }
    }

    /// Sets the logits of all tokens that may not come next to minus infinity.
    pub(super) fn restrict(&mut self, model: &LlamaModel, candidates: &mut LlamaTokenDataArray) {
        let matcher = match self {
            Self::Gbnf { sampler, .. } => return sampler.apply(candidates),
            Self::Schema(matcher) => matcher,
        };
        let mut allowed = vec![false; usize::try_from(model.n_vocab()).unwrap_or(0)];
        matcher.allowed(|token| {
            if let Some(allowed) = allowed.get_mut(token as usize) {
                *allowed = true;
            }
        });
        let may_end = matcher.may_end();
        let vocab = model.vocab();
        for data in &mut candidates.data {
            let at = usize::try_from(data.id().0).unwrap_or(usize::MAX);
            let is_allowed = allowed.get(at).is_some_and(|allowed| *allowed);
            if !(is_allowed || may_end && vocab.is_eog(data.id())) {
                data.set_logit(f32::NEG_INFINITY);
            }
        }
    }

    /// Advances by a token; returns false if it may not come next. llama.cpp aborts the process when a grammar is used
    /// after a token that it forbids.
    pub(super) fn accept(&mut self, model: &LlamaModel, token: LlamaToken) -> bool {
        match self {
            Self::Gbnf { sampler, .. } => admits(sampler, token) && sampler.try_accept(token).is_ok(),
            Self::Schema(matcher) if model.vocab().is_eog(token) => matcher.may_end(),
            Self::Schema(matcher) => u32::try_from(token.0).is_ok_and(|token| matcher.accept(token)),
        }
    }

    /// Why no token is allowed, if that is not because of the rules.
    pub(super) fn failure(&self) -> Option<String> {
        match self {
            Self::Gbnf { .. } => None,
            Self::Schema(matcher) => matcher.failure(),
        }
    }

    /// Begins again, behind a block.
    pub(super) fn restart(&mut self) {
        match self {
            Self::Gbnf { sampler, spare } => {
                if let Some(spare) = spare.take() {
                    *sampler = spare;
                }
            }
            Self::Schema(matcher) => matcher.reset(),
        }
    }
}

/// Whether llama.cpp's matcher allows a token.
fn admits(sampler: &mut LlamaSampler, token: LlamaToken) -> bool {
    let mut one = LlamaTokenDataArray::new(vec![LlamaTokenData::new(token, 0.0, 0.0)], false);
    sampler.apply(&mut one);
    one.data.first().is_some_and(|data| data.logit() > f32::NEG_INFINITY)
}

/// The matcher of rules other than GBNF.
pub(super) fn matcher(
    rules: &Rules,
    newlines: usize,
    vocabulary: &Vocabulary,
) -> Result<Matcher, SamplingError> {
    let source = match rules {
        Rules::JsonSchema(schema) => Source::Schema(schema),
        Rules::Composed { lark, schemas, tags } => Source::Composed { lark, schemas, tags },
        Rules::Gbnf(_) => {
            return Err(SamplingError::Grammar { reason: "GBNF is compiled by llama.cpp".to_owned() });
        }
    };
    Matcher::new(source, newlines, vocabulary).map_err(error)
}

fn error(invalid: Invalid) -> SamplingError {
    match invalid {
        Invalid::Schema(reason) => SamplingError::Schema { reason },
        Invalid::Grammar(reason) => SamplingError::Grammar { reason },
    }
}
