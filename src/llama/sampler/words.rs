//! A model's vocabulary for grammars, prepared when the first schema asks for it.

use std::sync::OnceLock;

use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::token::LlamaToken;
use llama_cpp_2::token_type::LlamaTokenAttr;

use crate::grammar::{Invalid, Vocabulary, Word};

/// Tokens as a grammar sees them.
#[derive(Debug, Default)]
pub(in crate::llama) struct Words(OnceLock<Result<Vocabulary, String>>);

impl Words {
    /// The vocabulary of `model`, which is always the same one.
    pub(super) fn of(&self, model: &LlamaModel) -> Result<&Vocabulary, Invalid> {
        let made = self.0.get_or_init(|| {
            Vocabulary::new((0..model.n_vocab()).map(|token| word(model, LlamaToken(token))).collect())
        });
        made.as_ref().map_err(|reason| Invalid::Grammar(reason.clone()))
    }
}

fn word(model: &LlamaModel, token: LlamaToken) -> Word {
    let vocab = model.vocab();
    if vocab.is_eog(token) {
        return Word::None;
    }
    let text = vocab.token_to_piece(token, true, None);
    if vocab.attr(token).contains(LlamaTokenAttr::Control) {
        return String::from_utf8(text).map_or(Word::None, Word::Control);
    }
    Word::Text(text)
}
