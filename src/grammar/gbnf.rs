//! Grammars in llama.cpp's notation, GBNF, read before llama.cpp reads them: its parser repeats without a limit, and its
//! matcher keeps a stack for each way in which the text so far could continue.

mod reader;
mod rules;

use rules::Rules;

/// Bytes of a grammar.
const LONGEST: usize = 1 << 20;
/// The rule that an answer follows.
const ROOT: &str = "root";

/// What a valid grammar uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gbnf {
    /// It names tokens, so it is valid for some vocabularies only.
    pub(crate) names_tokens: bool,
}

impl Gbnf {
    /// Refuses a grammar that is invalid, or that llama.cpp would take too long or too much memory for.
    pub(crate) fn check(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Err("it is empty".to_owned());
        }
        if text.len() > LONGEST {
            return Err(format!("it has {} bytes, expected at most {LONGEST}", text.len()));
        }
        if text.contains('\0') {
            return Err("it contains a zero byte".to_owned());
        }
        let (rules, names_tokens): (Rules, bool) = reader::read(text)?;
        rules.check(ROOT)?;
        Ok(Self { names_tokens })
    }
}

#[cfg(test)]
mod tests;
