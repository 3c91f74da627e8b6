//! The tokenizer of Gemma 4: BPE on the characters of a whole text, with U+2581 for spaces and bytes as a fallback.
//!
//! The keys are those of `Gemma4Model` in llama.cpp's converter.

use std::path::Path;

use serde_json::{Value, json};

use super::file::{AddedToken, File, malformed, steps, types, unsupported};
use super::kind;
use super::tokenizer::{Tokenizer, check_unique, place};
use crate::Result;
use crate::checkpoint::ModelConfig;

/// Tokens that are always written out, so that the parser of an answer sees them.
const VISIBLE: [&str; 7] = [
    "<|channel>",
    "<channel|>",
    "<|tool_call>",
    "<tool_call|>",
    "<|tool_response>",
    "<tool_response|>",
    "<|\"|>",
];
/// The score of every token; llama.cpp merges by rank.
const SCORE: f32 = -1000.0;

/// Reads the tokenizer. The embedding may have more rows than there are tokens; they have no use.
pub(super) fn read(path: &Path, file: File, settings: Option<&ModelConfig>, rows: u64) -> Result<Tokenizer> {
    check(path, &file)?;
    let named = settings.map_or_else(Vec::new, named);
    let added_type = |token: &AddedToken, in_vocab: bool| match (token.special, in_vocab) {
        (true, _) => kind::CONTROL,
        (false, true) => kind::NORMAL,
        (false, false) => kind::USER_DEFINED,
    };
    let (placed, mut types) = place(path, file.model.vocab.0, file.added_tokens, rows, added_type)?;
    let count = placed.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
    let tokens: Vec<String> = placed
        .into_iter()
        .take(count)
        .enumerate()
        .map(|(id, text)| {
            text.ok_or_else(|| malformed(path, format!("no token with id {id}"), "ids without gaps"))
        })
        .collect::<Result<_>>()?;
    check_unique(path, &tokens)?;
    types.truncate(count);
    for (text, ty) in tokens.iter().zip(&mut types) {
        if VISIBLE.contains(&text.as_str()) {
            *ty = kind::USER_DEFINED;
        } else if is_byte(text) {
            *ty = kind::BYTE;
        } else if named.binary_search(&text.as_str()).is_ok() {
            *ty = kind::CONTROL;
        }
    }
    check_bytes(path, &tokens)?;
    Ok(Tokenizer {
        model: "gemma4",
        pre: None,
        nfc: false,
        scores: Some(vec![SCORE; tokens.len()]),
        tokens,
        types,
        merges: file.model.merges.into_iter().map(|m| m.0).collect(),
        post_processor: file.post_processor,
        add_bos: true,
    })
}

/// Refuses what llama.cpp does otherwise: it replaces spaces, splits at line ends only, and falls back to bytes.
fn check(path: &Path, file: &File) -> Result<()> {
    file.check_bpe(path)?;
    if !file.model.byte_fallback {
        return Err(unsupported(path, "Gemma 4 with `model.byte_fallback` of false"));
    }
    if file.model.ignore_merges {
        return Err(unsupported(path, "Gemma 4 with `model.ignore_merges` of true"));
    }
    let replace =
        |from: &str, to: &str| json!({"type": "Replace", "pattern": {"String": from}, "content": to});
    let normalizer = steps(file.normalizer.as_ref(), "normalizers");
    if *normalizer != [replace(" ", "\u{2581}")] {
        return Err(unsupported(
            path,
            format!("Gemma 4 with the normalizer `{}`", shown(file.normalizer.as_ref())),
        ));
    }
    // A split at spaces finds none: the normalizer has replaced them.
    let at_spaces = |step: &Value| {
        step["type"] == "Split" && step["pattern"] == json!({"String": " "}) && step["invert"] != true
    };
    if !steps(file.pre_tokenizer.as_ref(), "pretokenizers").iter().all(at_spaces) {
        return Err(unsupported(
            path,
            format!("Gemma 4 with the pre-tokenizer `{}`", shown(file.pre_tokenizer.as_ref())),
        ));
    }
    let decoder = steps(file.decoder.as_ref(), "decoders");
    let spaces = decoder.first() == Some(&replace("\u{2581}", " "));
    if !spaces || types(decoder) != "Replace, ByteFallback, Fuse" {
        return Err(unsupported(
            path,
            format!("Gemma 4 with the decoder `{}`", shown(file.decoder.as_ref())),
        ));
    }
    Ok(())
}

fn shown(value: Option<&Value>) -> String {
    value.map_or_else(|| "null".to_owned(), ToString::to_string)
}

/// Refuses a vocabulary without a token for each byte: llama.cpp would leave out such bytes of a text.
fn check_bytes(path: &Path, tokens: &[String]) -> Result<()> {
    let mut found = [false; 256];
    for text in tokens.iter().filter(|text| is_byte(text)) {
        let digits = &text[3..5];
        if let Ok(byte) = u8::from_str_radix(digits, 16)
            && digits == format!("{byte:02X}")
        {
            found[usize::from(byte)] = true;
        }
    }
    match found.iter().position(|found| !found) {
        Some(byte) => Err(malformed(path, format!("no token `<0x{byte:02X}>`"), "a token for each byte")),
        None => Ok(()),
    }
}

/// Returns true for the token of a byte, such as `<0x0A>`.
fn is_byte(text: &str) -> bool {
    let digits = text.strip_prefix("<0x").and_then(|rest| rest.strip_suffix('>'));
    digits.is_some_and(|digits| digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// The tokens to which `tokenizer_config.json` gives a role, sorted: they are special even if `tokenizer.json` does not say so.
fn named(settings: &ModelConfig) -> Vec<&str> {
    let mut out = Vec::new();
    for (field, value) in settings.iter() {
        match field {
            "extra_special_tokens" | "additional_special_tokens" | "model_specific_special_tokens" => {
                match value {
                    Value::Array(list) => out.extend(list.iter().filter_map(text)),
                    Value::Object(list) => out.extend(list.values().filter_map(text)),
                    _ => {}
                }
            }
            _ if field.ends_with("_token") => out.extend(text(value)),
            _ => {}
        }
    }
    out.sort_unstable();
    out
}

/// The text of a token: a string, or an object with `content`.
fn text(value: &Value) -> Option<&str> {
    value.as_str().or_else(|| value["content"].as_str())
}
