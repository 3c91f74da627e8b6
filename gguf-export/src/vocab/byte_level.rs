//! Byte-level BPE: a token is written in characters that stand for bytes.

use std::path::Path;

use super::family::Family;
use super::file::{AddedToken, File, malformed, steps, types, unsupported};
use super::kind;
use super::merges::{self, Unmade};
use super::split::{self, Split};
use super::tokenizer::{Tokenizer, check_unique, place};
use crate::Result;

/// Reads a byte-level tokenizer. Rows of the embedding without a token become `[PADn]`.
pub(super) fn read(path: &Path, file: File, family: Family, rows: u64) -> Result<Tokenizer> {
    file.check_bpe(path)?;
    if file.model.byte_fallback {
        return Err(unsupported(path, "a SentencePiece tokenizer, with `model.byte_fallback` of true,"));
    }
    // llama.cpp does not normalize; the metadata key lets other readers do so.
    let normalizers = steps(file.normalizer.as_ref(), "normalizers");
    let nfc = match types(normalizers).as_str() {
        "" => false,
        "NFC" => true,
        other => return Err(unsupported(path, format!("normalizer `{other}`"))),
    };
    let split = split::find(path, family, file.pre_tokenizer.as_ref())?;
    check_ignored_merges(path, split, &file)?;
    let (tokens, types) = place(path, file.model.vocab.0, file.added_tokens, rows, |token, _| added(token))?;
    let tokens: Vec<String> =
        tokens.into_iter().enumerate().map(|(id, t)| t.unwrap_or_else(|| format!("[PAD{id}]"))).collect();
    check_unique(path, &tokens)?;
    Ok(Tokenizer {
        model: "gpt2",
        pre: Some(split.pre),
        nfc,
        tokens,
        scores: None,
        types,
        merges: file.model.merges.into_iter().map(|m| m.0).collect(),
        post_processor: file.post_processor,
        add_bos: split.add_bos,
    })
}

/// Refuses a file that looks up whole words before it merges where llama.cpp does not, or the reverse, if that changes
/// the tokens of any word.
fn check_ignored_merges(path: &Path, split: &Split, file: &File) -> Result<()> {
    let model = &file.model;
    if model.ignore_merges == split.ignore_merges {
        return Ok(());
    }
    let added: Vec<u64> = file.added_tokens.iter().map(|token| token.id).collect();
    let text = match merges::first_unmade(&model.vocab.0, &model.merges, added) {
        Unmade::None => return Ok(()),
        Unmade::Token(text) => text,
        Unmade::Unknown(merge) => {
            return Err(malformed(
                path,
                format!("merge `{merge}`"),
                "tokens of `model.vocab` in every merge",
            ));
        }
    };
    let what = format!(
        "`model.ignore_merges` of {} with the pre-tokenizer `{}` and a token that merges do not make (`{text}`)",
        model.ignore_merges, split.pre
    );
    Err(unsupported(path, what))
}

/// The type of an added token.
fn added(token: &AddedToken) -> i32 {
    if token.special || looks_special(&token.content) { kind::CONTROL } else { kind::USER_DEFINED }
}

/// Returns true if llama.cpp's converter treats a token as a control token regardless of `special`.
fn looks_special(text: &str) -> bool {
    const NAMES: [&str; 4] = ["<pad>", "<mask>", "<2mass>", "[@BOS@]"];
    const ENDS: [(&str, &str); 3] = [("<|", "|>"), ("<\u{ff5c}", "\u{ff5c}>"), ("<unused", ">")];
    NAMES.contains(&text) || ENDS.iter().any(|(start, end)| text.starts_with(start) && text.ends_with(end))
}
