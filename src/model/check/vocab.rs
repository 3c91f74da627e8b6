//! Checks the assumptions of llama.cpp's `llama_vocab` about the lists of tokens.

use std::collections::HashSet;

use gguf_export::gguf::{Array, Value, keys};

use crate::model::header::describe;
use crate::model::{Header, LoadError};

pub(super) fn check(header: &Header) -> Result<(), LoadError> {
    match header.metadata.get(keys::TOKENIZER_MODEL) {
        Some(Value::Str(model)) if model == "none" || model == "no_vocab" => return Ok(()),
        Some(Value::Str(_)) => {}
        Some(other) => return Err(header.wrong(keys::TOKENIZER_MODEL, describe(other), "a name")),
        None => return Err(header.wrong(keys::TOKENIZER_MODEL, "missing", "a name")),
    }
    let tokens = match header.metadata.get(keys::TOKENIZER_TOKENS) {
        Some(Value::Array(Array::Str(tokens))) if !tokens.is_empty() => tokens,
        Some(other) => {
            return Err(header.wrong(keys::TOKENIZER_TOKENS, describe(other), "an array of strings"));
        }
        None => return Err(header.wrong(keys::TOKENIZER_TOKENS, "missing", "an array of strings")),
    };
    distinct(header, tokens)?;
    if header.metadata.str(keys::TOKENIZER_MODEL) == Some("llama") {
        bytes(header, tokens)?;
    }
    for key in [keys::TOKENIZER_TOKEN_TYPE, SCORES] {
        match header.metadata.get(key) {
            None => {}
            Some(Value::Array(list)) if list.len() == tokens.len() => {}
            Some(other) => {
                return Err(header.wrong(
                    key,
                    describe(other),
                    format!("one for each of {} tokens", tokens.len()),
                ));
            }
        }
    }
    special(header, tokens.len() as u64)
}

const SCORES: &str = "tokenizer.ggml.scores";

/// llama.cpp counts distinct tokens. It renames empty ones.
fn distinct(header: &Header, tokens: &[String]) -> Result<(), LoadError> {
    let mut seen = HashSet::with_capacity(tokens.len());
    match tokens.iter().find(|token| !token.is_empty() && !seen.insert(token.as_str())) {
        None => Ok(()),
        Some(token) => {
            let found = format!("a list with `{}` twice", token.escape_debug());
            Err(header.wrong(keys::TOKENIZER_TOKENS, found, "distinct tokens"))
        }
    }
}

/// A `SentencePiece` vocabulary encodes unknown characters as bytes; llama.cpp throws if a byte's token is missing.
fn bytes(header: &Header, tokens: &[String]) -> Result<(), LoadError> {
    let tokens: HashSet<&str> = tokens.iter().map(String::as_str).collect();
    match (0..=u8::MAX).map(|byte| format!("<0x{byte:02X}>")).find(|name| !tokens.contains(name.as_str())) {
        None => Ok(()),
        Some(name) => Err(header.wrong(
            keys::TOKENIZER_TOKENS,
            format!("a list without `{name}`"),
            "a token for every byte",
        )),
    }
}

/// llama.cpp ignores a special token with an invalid id, and then answers never end.
fn special(header: &Header, tokens: u64) -> Result<(), LoadError> {
    for (key, value) in header.metadata.iter() {
        if key.starts_with("tokenizer.ggml.") && key.ends_with("_token_id") {
            match value.as_u64() {
                Some(id) if id < tokens => {}
                _ => return Err(header.wrong(key, describe(value), format!("a token below {tokens}"))),
            }
        }
    }
    Ok(())
}
