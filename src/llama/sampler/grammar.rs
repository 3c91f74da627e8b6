//! A grammar that holds from some point of the answer on.

use llama_cpp_2::json_schema_to_grammar;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::sampling::LlamaSampler;
use llama_cpp_2::token::LlamaToken;
use llama_cpp_2::token::data::LlamaTokenData;
use llama_cpp_2::token::data_array::LlamaTokenDataArray;

use crate::engine::{Grammar, Rules, SamplingError, Token};
use crate::llama::log;

/// Bytes of a grammar; larger ones cost more memory than any use of them is worth.
const LONGEST: usize = 1 << 20;
/// Brackets in brackets; llama.cpp's parser calls itself for each.
const DEEPEST: usize = 256;
/// Our first rule: newlines may come between the text before it and what the rules say.
const START: &str = "ggrun-start";

/// Keeps an answer within a grammar.
#[derive(Debug)]
pub(super) struct Guide {
    sampler: LlamaSampler,
    /// What the rules wait for; `None` when they hold.
    waiting: Option<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    text: Vec<u8>,
    /// The end of the answer so far, no longer than that.
    tail: Vec<u8>,
}

impl Guide {
    pub(super) fn new(model: &LlamaModel, grammar: &Grammar) -> Result<Self, SamplingError> {
        let rules = match &grammar.rules {
            Rules::Gbnf(rules) => rules.clone(),
            Rules::JsonSchema(schema) => convert(schema)?,
        };
        let refused = |reason: String| SamplingError::Grammar { reason };
        limits(&rules).map_err(refused)?;
        let (rules, root) = match grammar.after {
            None => (rules, "root"),
            Some(_) => (format!("{START} ::= [\\n]{{0,4}} root\n{rules}"), START),
        };
        let (made, log) = log::capture(|| LlamaSampler::grammar(model, &rules, root));
        let sampler =
            made.map_err(|error| refused(if log.is_empty() { error.to_string() } else { log.join("; ") }))?;
        let waiting =
            grammar.after.as_ref().map(|text| Waiting { text: text.clone().into(), tail: Vec::new() });
        Ok(Self { sampler, waiting })
    }

    /// Whether the rules allow a token next.
    pub(super) fn allows(&mut self, token: Token) -> bool {
        if self.waiting.is_some() {
            return true;
        }
        let mut one =
            LlamaTokenDataArray::new(vec![LlamaTokenData::new(LlamaToken(token.0), 0.0, 0.0)], false);
        self.restrict(&mut one);
        one.data.first().is_some_and(|data| data.logit() > f32::NEG_INFINITY)
    }

    /// Gives all tokens that the rules forbid next a logit of minus infinity.
    pub(super) fn restrict(&mut self, candidates: &mut LlamaTokenDataArray) {
        self.sampler.apply(candidates);
    }

    /// Takes note of a token of the answer.
    pub(super) fn accept(&mut self, model: &LlamaModel, token: Token) {
        match &mut self.waiting {
            // What the rules do not allow was put into the model's mouth; they go on from where they were.
            None => self.sampler.accept(LlamaToken(token.0)),
            Some(waiting) => {
                waiting.tail.extend(model.vocab().token_to_piece(LlamaToken(token.0), true, None));
                let Waiting { text, tail } = waiting;
                if tail.windows(text.len().max(1)).any(|window| window == text.as_slice()) {
                    self.waiting = None;
                } else {
                    tail.drain(..tail.len().saturating_sub(text.len()));
                }
            }
        }
    }
}

pub(super) fn convert(schema: &str) -> Result<String, SamplingError> {
    let refused = |reason: String| SamplingError::Schema { reason };
    // Ours knows where it is wrong, and does not follow brackets for ever.
    let parsed: serde_json::Value =
        serde_json::from_str(schema).map_err(|error| refused(error.to_string()))?;
    if !parsed.is_object() && !parsed.is_boolean() {
        return Err(refused("it is neither an object nor a truth value".to_owned()));
    }
    let (made, log) = log::capture(|| json_schema_to_grammar(schema));
    made.map_err(|error| refused(if log.is_empty() { error.to_string() } else { log.join("; ") }))
}

pub(super) fn limits(rules: &str) -> Result<(), String> {
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
            return Err(format!("its brackets are more than {DEEPEST} deep"));
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

    #[test]
    fn a_schema_that_is_no_json_says_where() {
        let error = convert("{\"type\": ").unwrap_err().to_string();
        assert!(error.contains("line 1"), "{error}");
        assert!(convert("[]").is_err());
        assert!(convert(&"[".repeat(100_000)).is_err());
        assert!(convert("{\"type\": \"integer\"}").unwrap().contains("root ::="));
    }
}
