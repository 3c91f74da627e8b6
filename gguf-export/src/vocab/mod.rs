//! Tokens, merges, special ids and the chat template as `tokenizer.*` keys.
//!
//! Keys, types and order are those of the converter in llama.cpp b11434. Only byte-level BPE is read: it is
//! what Qwen uses, and a guess at another kind would load and talk nonsense.

mod kind;
mod special;
#[cfg(test)]
mod tests;
mod tokenizer;

use std::path::Path;

use tokenizer::Tokenizer;

use crate::Result;
use crate::checkpoint::{ModelConfig, folder};
use crate::gguf::{Metadata, keys};

/// Reads the tokenizer of the checkpoint in `dir`.
///
/// `config` is its `config.json`, and `vocab_size` the number of rows of the embedding; ids without a token
/// become `[PADn]`.
///
/// # Errors
/// [`crate::Error::Unsupported`] for a tokenizer that is not byte-level BPE with a known splitting rule,
/// [`crate::Error::Malformed`] for ids that are missing, used twice or too large,
/// [`crate::Error::Field`] for a special token that is no token, and read errors.
pub fn vocab(dir: &Path, config: &ModelConfig, vocab_size: u64) -> Result<Metadata> {
    let settings = special::optional(dir, "tokenizer_config.json")?;
    let tokenizer = tokenizer::read(&folder::inside(dir, "tokenizer.json")?, settings.as_ref(), vocab_size)?;
    let special = special::read(dir, config, settings.as_ref(), &tokenizer)?;
    let mut out = keys_of(tokenizer);
    out.append(special);
    Ok(out)
}

/// What the text of a `tokenizer.json` says alone: tokens, their kinds and merges. `path` is for messages.
///
/// # Errors
/// As [`vocab`].
pub fn tokenizer(path: &Path, text: &str, vocab_size: u64) -> Result<Metadata> {
    tokenizer::parse(path, text, None, vocab_size).map(keys_of)
}

fn keys_of(tokenizer: Tokenizer) -> Metadata {
    let mut out = Metadata::new();
    out.push(keys::TOKENIZER_MODEL, "gpt2");
    out.push(keys::TOKENIZER_PRE, tokenizer.pre);
    if tokenizer.composes {
        out.push(keys::TOKENIZER_NORMALIZER, "NFC");
    }
    out.push(keys::TOKENIZER_TOKENS, tokenizer.tokens);
    out.push(keys::TOKENIZER_TOKEN_TYPE, tokenizer.types);
    out.push(keys::TOKENIZER_MERGES, tokenizer.merges);
    out
}
