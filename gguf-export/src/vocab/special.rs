//! Ids of special tokens, and tokens added around a text.

use std::path::Path;

use serde_json::Value;

use super::kind;
use super::tokenizer::{Tokenizer, unsupported};
use crate::checkpoint::{ModelConfig, folder};
use crate::gguf::{Metadata, keys};
use crate::{Error, Result};

/// Roles of special tokens in Hugging Face's files, and their GGUF keys. `seperator` is llama.cpp's spelling.
const ROLES: [(&str, &str); 6] = [
    ("bos", keys::TOKENIZER_BOS),
    ("eos", keys::TOKENIZER_EOS),
    ("unk", "tokenizer.ggml.unknown_token_id"),
    ("sep", "tokenizer.ggml.seperator_token_id"),
    ("pad", keys::TOKENIZER_PADDING),
    ("mask", "tokenizer.ggml.mask_token_id"),
];

/// A JSON file of the checkpoint; `None` if it does not exist.
pub(super) fn optional(dir: &Path, name: &str) -> Result<Option<ModelConfig>> {
    folder::optional(dir, name)?.map(|path| ModelConfig::read(&path)).transpose()
}

/// Reads the keys that follow the merges.
pub(super) fn read(
    dir: &Path,
    config: &ModelConfig,
    settings: Option<&ModelConfig>,
    tokenizer: &Tokenizer,
) -> Result<Metadata> {
    let mut out = ids(dir, config, settings, tokenizer)?;
    let [bos, eos] = added_around(dir, settings, tokenizer)?;
    if let Some(bos) = bos {
        out.push(keys::TOKENIZER_ADD_BOS, bos);
    }
    if let Some(eos) = eos {
        out.push("tokenizer.ggml.add_eos_token", eos);
    }
    Ok(out)
}

/// Ids by role: by token text from `tokenizer_config.json`, otherwise by id from `config.json` and
/// `generation_config.json`.
fn ids(
    dir: &Path,
    config: &ModelConfig,
    settings: Option<&ModelConfig>,
    tokenizer: &Tokenizer,
) -> Result<Metadata> {
    let mut out = Metadata::new();
    if let Some(settings) = settings {
        for (role, key) in ROLES {
            let field = format!("{role}_token");
            if let Some(text) = token_text(settings, &field)? {
                let id = added_id(tokenizer, text).ok_or_else(|| settings.wrong(&field, "an added token"))?;
                out.push(key, id);
            }
        }
    }
    let generation = optional(dir, "generation_config.json")?;
    for source in std::iter::once(config).chain(&generation) {
        for (role, key) in ROLES {
            let field = format!("{role}_token_id");
            if out.get(key).is_none()
                && let Some(id) = token_id(source, &field, tokenizer.tokens.len())?
            {
                out.push(key, id);
            }
        }
    }
    if out.get(keys::TOKENIZER_EOS).is_none() {
        // llama.cpp would default to token 11 and never stop.
        return Err(Error::Field {
            path: config.path().to_owned(),
            field: "eos_token_id".to_owned(),
            found: "missing".to_owned(),
            expected: "a token id here, or `eos_token` in `tokenizer_config.json`".to_owned(),
        });
    }
    Ok(out)
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

/// For bos and eos, whether they are added around a text; `None` if unspecified. The post-processor takes precedence
/// over `tokenizer_config.json`.
fn added_around(
    dir: &Path,
    settings: Option<&ModelConfig>,
    tokenizer: &Tokenizer,
) -> Result<[Option<bool>; 2]> {
    let mut out = [None; 2];
    if let Some(post) = &tokenizer.post_processor {
        let path = dir.join("tokenizer.json");
        for step in post["processors"].as_array().map_or(std::slice::from_ref(post), Vec::as_slice) {
            match step["type"].as_str() {
                Some("ByteLevel") => out = out.map(|added| added.or(Some(false))),
                Some("TemplateProcessing") => template(&path, &step["single"], settings, &mut out)?,
                _ if step.is_null() => {}
                _ => return Err(unsupported(&path, format!("post-processor `{}`", step["type"]))),
            }
        }
    }
    if let Some(settings) = settings {
        for (added, role) in out.iter_mut().zip(["bos", "eos"]) {
            *added = added.or(settings.bool(&format!("add_{role}_token"))?);
        }
    }
    Ok(out)
}

/// Reads the pieces of a post-processor template around the sequence.
fn template(
    path: &Path,
    single: &Value,
    settings: Option<&ModelConfig>,
    out: &mut [Option<bool>; 2],
) -> Result<()> {
    let pieces = single.as_array().map_or(&[][..], Vec::as_slice);
    let refuse = || Err(unsupported(path, format!("post-processor template `{single}`")));
    let Some(at) = pieces.iter().position(|piece| piece["Sequence"].is_object()) else {
        return refuse();
    };
    let sides = [&pieces[..at], &pieces[at + 1..]];
    for ((side, role), added) in sides.into_iter().zip(["bos_token", "eos_token"]).zip(out) {
        let expected = settings.map_or(Ok(None), |s| token_text(s, role))?;
        match side {
            [] => {}
            [piece] if expected.is_some() && piece["SpecialToken"]["id"].as_str() == expected => {
                *added = Some(true);
            }
            _ => return refuse(),
        }
    }
    Ok(())
}
