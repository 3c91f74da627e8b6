//! A model's vocabulary through llama.cpp.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::token::LlamaToken;
use llama_cpp_2::token_type::LlamaTokenAttr;
use unicode_normalization::{UnicodeNormalization, is_nfc};

use crate::engine::{Markup, SpecialToken, Token, Vocab};

/// The metadata key of our exports for the normalization that the tokenizer applies before it splits text.
const NORMALIZER: &str = "ggrun.tokenizer.normalizer";

/// A vocabulary; it shares the model and can be used from any thread.
#[derive(Clone)]
pub struct LlamaVocab {
    model: Arc<LlamaModel>,
    /// The tokenizer composes characters (NFC) before it splits text; llama.cpp does not.
    composes: bool,
}

impl fmt::Debug for LlamaVocab {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LlamaVocab").field("size", &self.size()).finish()
    }
}

impl LlamaVocab {
    pub(super) fn new(model: Arc<LlamaModel>) -> Self {
        let composes = model.meta_val_str(NORMALIZER).is_ok_and(|n| n == "NFC");
        Self { model, composes }
    }

    /// The text of the token that begins a text; empty if the model does not have such a token.
    #[must_use]
    pub fn begin(&self) -> String {
        self.name(self.model.vocab().bos())
    }

    /// The text of the token that ends a text; empty if the model does not have such a token.
    #[must_use]
    pub fn end(&self) -> String {
        self.name(self.model.vocab().eos())
    }

    fn name(&self, token: LlamaToken) -> String {
        let Some(token) = self.known(Token(token.0)) else { return String::new() };
        String::from_utf8_lossy(&self.model.vocab().token_to_piece(token, true, None)).into_owned()
    }

    /// llama.cpp looks tokens up without a bounds check.
    fn known(&self, token: Token) -> Option<LlamaToken> {
        (0..self.model.n_vocab()).contains(&token.0).then_some(LlamaToken(token.0))
    }
}

impl Vocab for LlamaVocab {
    fn size(&self) -> u32 {
        u32::try_from(self.model.n_vocab()).unwrap_or(0)
    }

    fn tokenize(&self, text: &str, markup: Markup) -> Vec<Token> {
        let text = self.normalize(text);
        let tokens = self.model.vocab().tokenize(text.as_bytes(), false, markup == Markup::Parsed);
        tokens.into_iter().map(|t| Token(t.0)).collect()
    }

    fn normalize<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if self.composes && !is_nfc(text) { text.nfc().collect::<String>().into() } else { text.into() }
    }

    fn specials(&self) -> Vec<SpecialToken> {
        let vocab = self.model.vocab();
        let special = |token: LlamaToken| {
            let kind = vocab.attr(token);
            let always = kind.contains(LlamaTokenAttr::UserDefined);
            let marked = always || kind.intersects(LlamaTokenAttr::Control | LlamaTokenAttr::Unknown);
            let text = vocab.text(token).filter(|_| marked)?.to_str().ok()?;
            (!text.is_empty()).then(|| SpecialToken { text: text.to_owned(), always })
        };
        (0..self.model.n_vocab()).map(LlamaToken).filter_map(special).collect()
    }

    fn first(&self) -> Option<Token> {
        let vocab = self.model.vocab();
        let token = Token(vocab.bos().0);
        (vocab.should_add_bos() && self.known(token).is_some()).then_some(token)
    }

    fn write(&self, token: Token, out: &mut Vec<u8>) {
        if self.known(token).is_some_and(|token| !self.model.vocab().is_control(token)) {
            self.write_any(token, out);
        }
    }

    fn write_any(&self, token: Token, out: &mut Vec<u8>) {
        let Some(token) = self.known(token) else { return };
        out.extend(self.model.vocab().token_to_piece(token, true, None));
    }

    fn ends_answer(&self, token: Token) -> bool {
        self.known(token).is_some_and(|token| self.model.vocab().is_eog(token))
    }
}
