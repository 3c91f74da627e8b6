//! Pre-tokenizers: the expressions that split a text into words, and what llama.cpp calls them.

use std::path::Path;

use serde_json::Value;

use super::family::Family;
use super::file::{steps, types, unsupported};
use crate::Result;

/// A pre-tokenizer that llama.cpp has, and what it does beyond splitting.
#[derive(Debug)]
pub(super) struct Split {
    /// The value of `tokenizer.ggml.pre`.
    pub(super) pre: &'static str,
    /// The expressions, applied one after the other, with line ends as `\r` and `\n`.
    expressions: &'static [&'static str],
    /// True if llama.cpp looks up whole words among the tokens before it merges.
    pub(super) ignore_merges: bool,
    /// True if llama.cpp begins every text with the BOS token unless a key forbids it.
    pub(super) add_bos: bool,
    /// The family that the row is for, where another row has the same expressions.
    family: Option<Family>,
}

const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// As [`QWEN2`], with combining marks as letters.
const QWEN35: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// As [`QWEN2`], with up to three digits in a word.
const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// Splits before capitals too.
const TEKKEN: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const GPT_4O: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// As [`GPT_4O`], with runs of Chinese characters as words.
const KIMI_K2: &str = r"[\p{Han}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// Digits, then Chinese and Japanese, then the rest.
const DEEPSEEK_V3: [&str; 3] = [
    r"\p{N}{1,3}",
    "[一-龥぀-ゟ゠-ヿ]+",
    r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"##,
];

/// A row that only splits.
const fn plain(pre: &'static str, expressions: &'static [&'static str]) -> Split {
    Split { pre, expressions, ignore_merges: false, add_bos: false, family: None }
}

/// The pre-tokenizers, as in `llama-vocab.cpp`. Rows for one family precede those for all.
static TABLE: [Split; 9] = [
    Split { ignore_merges: true, family: Some(Family::Glm4), ..plain("glm4", &[LLAMA3]) },
    Split { family: Some(Family::MiniMaxM2), ..plain("minimax-m2", &[GPT_4O]) },
    plain("qwen2", &[QWEN2]),
    plain("qwen35", &[QWEN35]),
    Split { ignore_merges: true, add_bos: true, ..plain("llama-bpe", &[LLAMA3]) },
    Split { ignore_merges: true, add_bos: true, ..plain("tekken", &[TEKKEN]) },
    plain("gpt-4o", &[GPT_4O]),
    plain("kimi-k2", &[KIMI_K2]),
    plain("deepseek-v3", &DEEPSEEK_V3),
];

/// Recognizes the pre-tokenizer of a byte-level tokenizer by its expressions; the name of the model does not determine it.
pub(super) fn find(path: &Path, family: Family, pre: Option<&Value>) -> Result<&'static Split> {
    let (bytes, splits) = match steps(pre, "pretokenizers") {
        [] => return Err(unsupported(path, "a tokenizer without pre-tokenizer")),
        [splits @ .., bytes] if !splits.is_empty() => (bytes, splits),
        other => return Err(unsupported(path, format!("pre-tokenizer `{}`", types(other)))),
    };
    let expressions: Vec<String> =
        splits.iter().map(|split| expression(path, split)).collect::<Result<_>>()?;
    if bytes["type"] != "ByteLevel" || bytes["add_prefix_space"] == true || bytes["use_regex"] != false {
        return Err(unsupported(path, format!("pre-tokenizer `{bytes}`")));
    }
    let fits = |row: &&Split| {
        row.family.is_none_or(|own| own == family) && row.expressions.iter().eq(expressions.iter())
    };
    TABLE.iter().find(fits).ok_or_else(|| {
        unsupported(path, format!("pre-tokenizer expression `{}`", expressions.join("`, then `")))
    })
}

/// The expression of a step that isolates what it matches. A line end may be in it as itself.
fn expression(path: &Path, split: &Value) -> Result<String> {
    let plain = split["behavior"] == "Isolated" && split["invert"] != true;
    if split["type"] != "Split" || !plain {
        return Err(unsupported(path, format!("pre-tokenizer `{split}`")));
    }
    let pattern = &split["pattern"];
    let Some(text) = pattern["Regex"].as_str() else {
        return Err(unsupported(path, format!("pre-tokenizer pattern `{pattern}`")));
    };
    Ok(text.replace('\r', r"\r").replace('\n', r"\n"))
}

#[cfg(test)]
pub(super) fn expressions(pre: &str) -> &'static [&'static str] {
    TABLE.iter().find(|row| row.pre == pre).expect("a known pre-tokenizer").expressions
}
