//! Tokens, merges, special ids and the chat template as `tokenizer.*` keys.
//!
//! Keys, types and order are those of the converter in llama.cpp b11434. Byte-level BPE with a known pre-tokenizer is
//! supported, and the tokenizer of Gemma 4: a wrong guess at another kind would load and produce nonsense.

mod around;
mod byte_level;
mod family;
#[cfg(test)]
mod family_tests;
mod file;
mod gemma4;
mod kind;
mod merges;
mod special;
mod split;
mod templates;
#[cfg(test)]
mod tests;
mod tokenizer;

use std::path::{Path, PathBuf};

pub use family::Family;
use file::File;
pub use file::OTHER_TOKENIZERS;
use templates::Templates;
use tokenizer::Tokenizer;

use crate::Result;
use crate::checkpoint::ModelConfig;
use crate::gguf::{Metadata, keys};

/// Reads the tokenizer of the checkpoint in `dir`.
///
/// `config` is `config.json`, `vocab_size` the number of rows of the embedding, `family` that of the model. Ids without a
/// token become `[PADn]`, unless the [family cuts the embedding](Family::cuts_embedding) to the tokens.
///
/// # Errors
/// [`crate::Error::OtherTokenizer`] if there is only a file of [`OTHER_TOKENIZERS`],
/// [`crate::Error::Unsupported`] for a tokenizer of another kind, or with a step that llama.cpp does not have,
/// [`crate::Error::Malformed`] for duplicate and out-of-range ids, [`crate::Error::Field`] for a special token that is
/// not in the vocabulary, [`crate::Error::Io`] and [`crate::Error::Json`] for a file that cannot be read.
pub fn vocab(dir: &Path, config: &ModelConfig, vocab_size: u64, family: Family) -> Result<Metadata> {
    let settings = special::optional(dir, "tokenizer_config.json")?;
    let (path, tokenizer) = read(dir, settings.as_ref(), vocab_size, family)?;
    let special = special::read(&path, config, settings.as_ref(), &tokenizer, family)?;
    let mut out = tokenizer.into_keys();
    out.append(special);
    Templates::read(dir, settings.as_ref())?.write(&mut out);
    if family == Family::Gemma4 {
        out.push("tokenizer.ggml.add_space_prefix", false);
        // The converter writes it whatever the post-processor says, and llama.cpp takes it as true.
        out.set(keys::TOKENIZER_ADD_BOS, true);
    }
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
pub fn tokenizer(path: &Path, text: &str, vocab_size: u64, family: Family) -> Result<Metadata> {
    tokenizer::check_size(path, vocab_size)?;
    lower(path, File::parse(path, text)?, None, vocab_size, family).map(Tokenizer::into_keys)
}

/// The tokenizer of a checkpoint and the path of its file.
fn read(
    dir: &Path,
    settings: Option<&ModelConfig>,
    rows: u64,
    family: Family,
) -> Result<(PathBuf, Tokenizer)> {
    let path = file::find(dir)?;
    tokenizer::check_size(&path, rows)?;
    let tokenizer = lower(&path, File::read(&path)?, settings, rows, family)?;
    Ok((path, tokenizer))
}

fn lower(
    path: &Path,
    mut file: File,
    settings: Option<&ModelConfig>,
    rows: u64,
    family: Family,
) -> Result<Tokenizer> {
    if let Some(settings) = settings {
        file.add_from(settings)?;
    }
    match family {
        Family::Gemma4 => gemma4::read(path, file, settings, rows),
        Family::Plain | Family::Glm4 | Family::MiniMaxM2 => byte_level::read(path, file, family, rows),
    }
}
