//! Tokens, merges, special ids and the chat template as `tokenizer.*` keys.
//!
//! Keys, types and order are those of the converter in llama.cpp b11434. Only byte-level BPE is supported, the tokenizer
//! of Qwen: a wrong guess at another kind would load and produce nonsense.

mod kind;
mod special;
mod templates;
#[cfg(test)]
mod tests;
mod tokenizer;

use std::path::Path;

use templates::Templates;
use tokenizer::Tokenizer;

use crate::Result;
use crate::checkpoint::{ModelConfig, folder};
use crate::gguf::{Metadata, keys};

/// Reads the tokenizer of the checkpoint in `dir`.
///
/// `config` is `config.json`, `vocab_size` the number of rows of the embedding. Ids without a token become `[PADn]`.
///
/// # Errors
/// [`crate::Error::Unsupported`] for a tokenizer that is not byte-level BPE with a known pre-tokenizer,
/// [`crate::Error::Malformed`] for duplicate and out-of-range ids, [`crate::Error::Field`] for a special token that is
/// not in the vocabulary, [`crate::Error::Io`] and [`crate::Error::Json`] for a file that cannot be read.
pub fn vocab(dir: &Path, config: &ModelConfig, vocab_size: u64) -> Result<Metadata> {
    let settings = special::optional(dir, "tokenizer_config.json")?;
    let tokenizer = tokenizer::read(&folder::inside(dir, "tokenizer.json")?, settings.as_ref(), vocab_size)?;
    let special = special::read(dir, config, settings.as_ref(), &tokenizer)?;
    let mut out = keys_of(tokenizer);
    out.append(special);
    Templates::read(dir, settings.as_ref())?.write(&mut out);
    Ok(out)
}

/// What is missing among the chat templates of the checkpoint in `dir`, and what [`vocab`] leaves out, one sentence each.
///
/// # Errors
/// As [`vocab`].
pub fn template_notes(dir: &Path) -> Result<Vec<String>> {
    let settings = special::optional(dir, "tokenizer_config.json")?;
    Ok(Templates::read(dir, settings.as_ref())?.notes)
}

/// Reads only the text of a `tokenizer.json`: tokens, their types and merges. `path` is for error messages.
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
    if tokenizer.nfc {
        out.push(keys::TOKENIZER_NORMALIZER, "NFC");
    }
    out.push(keys::TOKENIZER_TOKENS, tokenizer.tokens);
    out.push(keys::TOKENIZER_TOKEN_TYPE, tokenizer.types);
    out.push(keys::TOKENIZER_MERGES, tokenizer.merges);
    out
}
