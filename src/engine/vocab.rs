//! The seam to a tokenizer: text to tokens and back, as bytes.

use std::sync::Arc;

use super::Token;

/// Whether names of special tokens in a text are parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Markup {
    /// `<|im_end|>` is one token: for a rendered chat template.
    Parsed,
    /// `<|im_end|>` is ten characters: for text from outside.
    Plain,
}

/// A model's vocabulary.
pub trait Vocab {
    /// How many tokens it has; their numbers start at zero.
    fn size(&self) -> u32;

    /// The tokens of a text, and nothing before or after them.
    fn tokenize(&self, text: &str, markup: Markup) -> Vec<Token>;

    /// What every text of the model's training began with, if anything. Templates write it themselves.
    fn first(&self) -> Option<Token> {
        None
    }

    /// Adds what a token writes; it need not be whole characters, and is nothing for control tokens.
    fn write(&self, token: Token, out: &mut Vec<u8>);

    /// Whether the token ends an answer.
    fn ends_answer(&self, token: Token) -> bool;
}

impl<V: Vocab + ?Sized> Vocab for Arc<V> {
    fn size(&self) -> u32 {
        (**self).size()
    }

    fn tokenize(&self, text: &str, markup: Markup) -> Vec<Token> {
        (**self).tokenize(text, markup)
    }

    fn first(&self) -> Option<Token> {
        (**self).first()
    }

    fn write(&self, token: Token, out: &mut Vec<u8>) {
        (**self).write(token, out);
    }

    fn ends_answer(&self, token: Token) -> bool {
        (**self).ends_answer(token)
    }
}
