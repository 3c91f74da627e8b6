//! The interface to a tokenizer: text to tokens and back, as bytes.

use std::borrow::Cow;
use std::sync::Arc;

use super::Token;

/// The meaning of the texts of control tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Markup {
    /// `<|im_end|>` is one token: for the text of a chat template.
    Parsed,
    /// `<|im_end|>` is ten characters: for the text of messages.
    Plain,
}

/// A token that is not made of the text around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecialToken {
    /// Its text, which stands for it.
    pub text: String,
    /// Its text stands for it in plain text too.
    pub always: bool,
}

/// A model's vocabulary.
pub trait Vocab {
    /// The number of its tokens; token numbers start at zero.
    fn size(&self) -> u32;

    /// The tokens of a text, with none added before or after.
    fn tokenize(&self, text: &str, markup: Markup) -> Vec<Token>;

    /// A text without control tokens as the tokenizer changes it before it looks for other tokens.
    fn normalize<'a>(&self, text: &'a str) -> Cow<'a, str> {
        text.into()
    }

    /// The tokens whose texts stand for them.
    fn specials(&self) -> Vec<SpecialToken> {
        Vec::new()
    }

    /// The token that began every text in training, if there is one. Templates write it themselves.
    fn first(&self) -> Option<Token> {
        None
    }

    /// Adds the text of a token, which need not be whole characters, and is empty for control tokens.
    fn write(&self, token: Token, out: &mut Vec<u8>);

    /// Adds the text of a token, including that of a control token.
    fn write_any(&self, token: Token, out: &mut Vec<u8>) {
        self.write(token, out);
    }

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

    fn normalize<'a>(&self, text: &'a str) -> Cow<'a, str> {
        (**self).normalize(text)
    }

    fn specials(&self) -> Vec<SpecialToken> {
        (**self).specials()
    }

    fn first(&self) -> Option<Token> {
        (**self).first()
    }

    fn write(&self, token: Token, out: &mut Vec<u8>) {
        (**self).write(token, out);
    }

    fn write_any(&self, token: Token, out: &mut Vec<u8>) {
        (**self).write_any(token, out);
    }

    fn ends_answer(&self, token: Token) -> bool {
        (**self).ends_answer(token)
    }
}
