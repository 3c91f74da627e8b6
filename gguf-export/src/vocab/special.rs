//! Ids of special tokens, and which are added around a text.

use std::path::Path;

use serde_json::Value;

use super::around::Around;
use super::family::Family;
use super::file::malformed;
use super::kind;
use super::tokenizer::Tokenizer;
use crate::checkpoint::{ModelConfig, folder};
use crate::gguf::{Metadata, keys};
use crate::{Error, Result};

const UNKNOWN: &str = "tokenizer.ggml.unknown_token_id";
/// `seperator` is llama.cpp's spelling.
const SEPARATOR: &str = "tokenizer.ggml.seperator_token_id";

/// Roles of special tokens in Hugging Face's files, and their GGUF keys.
const ROLES: [(&str, &str); 6] = [
    ("bos", keys::TOKENIZER_BOS),
    ("eos", keys::TOKENIZER_EOS),
    ("unk", UNKNOWN),
    ("sep", SEPARATOR),
    ("pad", keys::TOKENIZER_PADDING),
    ("mask", "tokenizer.ggml.mask_token_id"),
];

/// A JSON file of the checkpoint; `None` if it does not exist.
pub(super) fn optional(dir: &Path, name: &str) -> Result<Option<ModelConfig>> {
    folder::optional(dir, name)?.map(|path| ModelConfig::read(&path)).transpose()
}

/// Special tokens of GLM by text, for keys that the configuration leaves open.
const GLM4: [(&str, &str); 4] = [
    ("[gMASK]", keys::TOKENIZER_BOS),
    // With `<|endoftext|>` here an answer would not end.
    ("<|user|>", "tokenizer.ggml.eot_token_id"),
    ("<|endoftext|>", UNKNOWN),
    ("<|observation|>", "tokenizer.ggml.eom_token_id"),
];

/// Reads the keys that follow the merges. `path` is that of `tokenizer.json`.
pub(super) fn read(
    path: &Path,
    config: &ModelConfig,
    settings: Option<&ModelConfig>,
    tokenizer: &Tokenizer,
    family: Family,
) -> Result<Metadata> {
    let dir = path.parent().unwrap_or(Path::new(""));
    let named = |field: &str| settings.map_or(Ok(None), |settings| token_text(settings, field));
    let around = Around::read(path, tokenizer.post_processor.as_ref(), settings, named)?;
    let mut out = by_text(path, settings, tokenizer, &around)?;
    let count = tokenizer.tokens.len();
    by_id(&mut out, &[Some(config), config.section("text_config")?.as_ref()], count)?;
    if family == Family::Glm4 {
        by_name(&mut out, path, tokenizer)?;
    }
    by_id(&mut out, &[optional(dir, "generation_config.json")?.as_ref()], count)?;
    check_ends(config, &around, tokenizer, &out)?;
    for (role, added) in &around.added {
        out.push(format!("tokenizer.ggml.add_{role}_token"), *added);
    }
    Ok(out)
}

/// Ids by the token texts in `tokenizer_config.json`, and by those around a text.
fn by_text(
    path: &Path,
    settings: Option<&ModelConfig>,
    tokenizer: &Tokenizer,
    around: &Around,
) -> Result<Metadata> {
    let mut out = Metadata::new();
    for (role, key) in ROLES {
        let field = format!("{role}_token");
        if let Some(settings) = settings
            && let Some(text) = token_text(settings, &field)?
        {
            let id = added_id(tokenizer, text).ok_or_else(|| settings.wrong(&field, "an added token"))?;
            out.push(key, id);
        } else if let Some(text) = around.token(role) {
            let id = added_id(tokenizer, text);
            let id =
                id.ok_or_else(|| malformed(path, format!("a template with `{text}`"), "an added token"))?;
            out.push(key, id);
        }
    }
    if around.get("sep") == Some(true)
        && out.get(SEPARATOR).is_none()
        && let Some(eos) = out.get(keys::TOKENIZER_EOS).cloned()
    {
        out.push(SEPARATOR, eos);
    }
    Ok(out)
}

/// Adds the ids that configurations have for roles without one.
fn by_id(out: &mut Metadata, sources: &[Option<&ModelConfig>], tokens: usize) -> Result<()> {
    for (role, key) in ROLES {
        let field = format!("{role}_token_id");
        for source in sources.iter().copied().flatten() {
            if out.get(key).is_none()
                && let Some(id) = token_id(source, &field, tokens)?
            {
                out.push(key, id);
            }
        }
    }
    Ok(())
}

/// Adds the ids of GLM's special tokens.
fn by_name(out: &mut Metadata, path: &Path, tokenizer: &Tokenizer) -> Result<()> {
    for (text, key) in GLM4 {
        let id = added_id(tokenizer, text).ok_or_else(|| {
            malformed(path, format!("no added token `{text}`"), "the special tokens of GLM")
        })?;
        if out.get(key).is_none() {
            out.push(key, id);
        }
    }
    Ok(())
}

/// Refuses a tokenizer without an end, or without the token that begins a text: llama.cpp would take token 11 for either.
fn check_ends(config: &ModelConfig, around: &Around, tokenizer: &Tokenizer, ids: &Metadata) -> Result<()> {
    let missing = |role: &str, why: &str| Error::Field {
        path: config.path().to_owned(),
        field: format!("{role}_token_id"),
        found: "missing".to_owned(),
        expected: format!("a token id here, or `{role}_token` in `tokenizer_config.json`{why}"),
    };
    if ids.get(keys::TOKENIZER_EOS).is_none() {
        return Err(missing("eos", ""));
    }
    if around.get("bos").unwrap_or(tokenizer.add_bos) && ids.get(keys::TOKENIZER_BOS).is_none() {
        return Err(missing("bos", ": it begins every text"));
    }
    Ok(())
}

/// The text of a special token: a string, or an object with `content`.
fn token_text<'a>(settings: &'a ModelConfig, field: &str) -> Result<Option<&'a str>> {
    match settings.get(field) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(value) => match value["content"].as_str() {
            Some(text) => Ok(Some(text)),
            None => Err(settings.wrong(field, "a token")),
        },
    }
}

/// The id of a special token: an integer, or the first element of a list.
fn token_id(config: &ModelConfig, field: &str, tokens: usize) -> Result<Option<u32>> {
    let Some(value) = config.get(field) else { return Ok(None) };
    let value = value.as_array().and_then(|list| list.first()).unwrap_or(value);
    let id = value.as_u64().filter(|id| *id < tokens as u64).and_then(|id| u32::try_from(id).ok());
    id.map(Some).ok_or_else(|| config.wrong(field, &format!("a token id below {tokens}")))
}

fn added_id(tokenizer: &Tokenizer, text: &str) -> Option<u32> {
    let added = |id: &usize| matches!(tokenizer.types[*id], kind::CONTROL | kind::USER_DEFINED);
    let id = (0..tokenizer.tokens.len()).filter(added).find(|id| tokenizer.tokens[*id] == text)?;
    u32::try_from(id).ok()
}
