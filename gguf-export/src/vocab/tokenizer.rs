//! Reads `tokenizer.json`: tokens, their types, merges and the pre-tokenizer.

use std::path::Path;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::kind;
use crate::checkpoint::{ModelConfig, json};
use crate::{Error, Result, io};

/// Size limit of the file in bytes.
const MAX_BYTES: u64 = 256 << 20;
/// Limit of its JSON values; vocabularies of 250 000 tokens have less than three million.
const MAX_VALUES: usize = 8 << 20;
/// Limit of the number of tokens; llama.cpp counts them as i32.
const MAX_TOKENS: u64 = 1 << 24;

/// The pre-tokenizer expression of Qwen2: splits into runs of letters, single digits and so on.
pub(super) const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// The pre-tokenizer expression of Qwen3.5: as [`QWEN2`], with combining marks as letters.
pub(super) const QWEN35: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// A tokenizer in the form of GGUF keys.
pub(super) struct Tokenizer {
    /// llama.cpp's name of the pre-tokenizer.
    pub(super) pre: &'static str,
    /// Token texts by id, one per row of the embedding.
    pub(super) tokens: Vec<String>,
    /// Token types by id; see [`kind`].
    pub(super) types: Vec<i32>,
    /// Merges by rank, `left right`.
    pub(super) merges: Vec<String>,
    /// True if text is normalized to NFC before pre-tokenization.
    pub(super) nfc: bool,
    /// The post-processor, which adds tokens around a text.
    pub(super) post_processor: Option<Value>,
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    added_tokens: Vec<AddedToken>,
    normalizer: Option<Value>,
    pre_tokenizer: Option<Value>,
    post_processor: Option<Value>,
    model: Model,
}

#[derive(Deserialize)]
struct AddedToken {
    id: u64,
    content: String,
    #[serde(default)]
    special: bool,
}

#[derive(Deserialize)]
struct Model {
    #[serde(rename = "type")]
    kind: Option<String>,
    dropout: Option<f64>,
    continuing_subword_prefix: Option<String>,
    end_of_word_suffix: Option<String>,
    #[serde(default)]
    byte_fallback: bool,
    #[serde(default)]
    ignore_merges: bool,
    #[serde(default)]
    vocab: Vocab,
    #[serde(default)]
    merges: Vec<Merge>,
}

pub(super) fn read(path: &Path, settings: Option<&ModelConfig>, vocab_size: u64) -> Result<Tokenizer> {
    check_size(path, vocab_size)?;
    let text = io::read_to_string(path, MAX_BYTES)?;
    let file = parse_file(path, &text)?;
    // The text takes as much memory as what was read from it.
    drop(text);
    lower(path, file, settings, vocab_size)
}

/// Parses the text of a `tokenizer.json`; `path` is for error messages.
pub(super) fn parse(
    path: &Path,
    text: &str,
    settings: Option<&ModelConfig>,
    vocab_size: u64,
) -> Result<Tokenizer> {
    check_size(path, vocab_size)?;
    lower(path, parse_file(path, text)?, settings, vocab_size)
}

fn check_size(path: &Path, vocab_size: u64) -> Result<()> {
    if vocab_size > MAX_TOKENS {
        return Err(malformed(path, format!("an embedding of {vocab_size} rows"), "at most 2^24"));
    }
    Ok(())
}

fn parse_file(path: &Path, text: &str) -> Result<File> {
    json::limit_values(path, text, MAX_VALUES)?;
    serde_json::from_str(text).map_err(|source| Error::Json { path: path.to_owned(), source })
}

fn lower(path: &Path, file: File, settings: Option<&ModelConfig>, vocab_size: u64) -> Result<Tokenizer> {
    check_model(path, &file)?;
    let pre = pre_tokenizer(path, file.pre_tokenizer.as_ref())?;
    if file.model.merges.is_empty() {
        return Err(malformed(path, "no merges", "a list in `model.merges`"));
    }
    let mut added = file.added_tokens;
    if let Some(settings) = settings {
        added_by_settings(settings, &mut added)?;
    }
    let (tokens, types) = tokens(path, file.model.vocab.0, added, vocab_size)?;
    let merges = file.model.merges.into_iter().map(|m| m.0).collect();
    Ok(Tokenizer {
        nfc: file.normalizer.is_some(),
        pre,
        tokens,
        types,
        merges,
        post_processor: file.post_processor,
    })
}

fn check_model(path: &Path, file: &File) -> Result<()> {
    let model = &file.model;
    let set = |text: &Option<String>| text.as_ref().is_some_and(|t| !t.is_empty());
    let what = if model.kind.as_deref() != Some("BPE") {
        format!("tokenizer model `{}`", model.kind.as_deref().unwrap_or("without a type"))
    } else if model.dropout.is_some_and(|p| p != 0.0) {
        "`model.dropout`".to_owned()
    } else if set(&model.continuing_subword_prefix) {
        "`model.continuing_subword_prefix`".to_owned()
    } else if set(&model.end_of_word_suffix) {
        "`model.end_of_word_suffix`".to_owned()
    } else if model.byte_fallback {
        "`model.byte_fallback` of true".to_owned()
    } else if model.ignore_merges {
        "`model.ignore_merges` of true".to_owned()
    } else {
        // llama.cpp does not normalize; the metadata key lets other readers do so.
        match file.normalizer.as_ref().and_then(|n| n["type"].as_str()) {
            None | Some("NFC") => return Ok(()),
            Some(other) => format!("normalizer `{other}`"),
        }
    };
    Err(unsupported(path, what))
}

/// Recognizes the pre-tokenizer by its expression; the model name does not determine it.
fn pre_tokenizer(path: &Path, pre: Option<&Value>) -> Result<&'static str> {
    let Some(pre) = pre.filter(|p| !p.is_null()) else {
        return Err(unsupported(path, "a tokenizer without pre-tokenizer".to_owned()));
    };
    let steps = pre["pretokenizers"].as_array().map_or(std::slice::from_ref(pre), Vec::as_slice);
    let [split, bytes] = steps else {
        let kinds: Vec<_> = steps.iter().map(|s| s["type"].as_str().unwrap_or("?")).collect();
        return Err(unsupported(path, format!("pre-tokenizer `{}`", kinds.join(", "))));
    };
    let plain = split["behavior"] == "Isolated" && split["invert"] != true;
    if split["type"] != "Split" || !plain {
        return Err(unsupported(path, format!("pre-tokenizer `{split}`")));
    }
    if bytes["type"] != "ByteLevel" || bytes["add_prefix_space"] == true || bytes["use_regex"] == true {
        return Err(unsupported(path, format!("pre-tokenizer `{bytes}`")));
    }
    match split["pattern"]["Regex"].as_str() {
        Some(QWEN2) => Ok("qwen2"),
        Some(QWEN35) => Ok("qwen35"),
        Some(other) => Err(unsupported(path, format!("pre-tokenizer expression `{other}`"))),
        None => Err(unsupported(path, format!("pre-tokenizer pattern `{}`", split["pattern"]))),
    }
}

/// Adds the tokens of `added_tokens_decoder`, which also overrides `special` of known tokens.
fn added_by_settings(settings: &ModelConfig, added: &mut Vec<AddedToken>) -> Result<()> {
    let Some(list) = settings.section("added_tokens_decoder")? else { return Ok(()) };
    added.sort_by_key(|token| token.id);
    let known = added.len();
    for (id, value) in list.iter() {
        let expected = "the token of this id with `content`";
        let wrong = || list.wrong(id, expected);
        let id: u64 = id.parse().map_err(|_| wrong())?;
        let token = AddedToken {
            id,
            content: value["content"].as_str().ok_or_else(wrong)?.to_owned(),
            special: value["special"].as_bool().unwrap_or(false),
        };
        match added[..known].binary_search_by_key(&id, |token| token.id) {
            Ok(i) if added[i].content == token.content => added[i].special = token.special,
            Ok(_) => return Err(wrong()),
            Err(_) => added.push(token),
        }
    }
    Ok(())
}

/// Token texts and types by id.
fn tokens(
    path: &Path,
    vocab: Vec<(String, u64)>,
    added: Vec<AddedToken>,
    vocab_size: u64,
) -> Result<(Vec<String>, Vec<i32>)> {
    let size = usize::try_from(vocab_size).unwrap_or(0);
    let mut tokens: Vec<Option<String>> = vec![None; size];
    let mut types = vec![kind::UNUSED; size];
    let place = |id: u64, text: &str| {
        usize::try_from(id).ok().filter(|id| *id < size).ok_or_else(|| {
            malformed(
                path,
                format!("token `{text}` with id {id}"),
                &format!("an id below {vocab_size}, the rows of the embedding"),
            )
        })
    };
    for (text, id) in vocab {
        let at = place(id, &text)?;
        if let Some(other) = tokens[at].replace(text) {
            return Err(malformed(path, format!("id {id} for `{other}` and another token"), "one token"));
        }
        types[at] = kind::NORMAL;
    }
    for token in added {
        let at = place(token.id, &token.content)?;
        types[at] =
            if token.special || looks_special(&token.content) { kind::CONTROL } else { kind::USER_DEFINED };
        if let Some(other) = &tokens[at]
            && *other != token.content
        {
            let found = format!("id {} for `{other}` and `{}`", token.id, token.content);
            return Err(malformed(path, found, "one token"));
        }
        tokens[at] = Some(token.content);
    }
    let tokens: Vec<String> =
        tokens.into_iter().enumerate().map(|(id, t)| t.unwrap_or_else(|| format!("[PAD{id}]"))).collect();
    let mut sorted: Vec<&str> = tokens.iter().map(String::as_str).collect();
    sorted.sort_unstable();
    match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        // llama.cpp asserts that texts are unique.
        Some(pair) => Err(malformed(path, format!("token `{}` under two ids", pair[0]), "one id")),
        None => Ok((tokens, types)),
    }
}

/// Returns true if llama.cpp's converter treats a token as a control token regardless of `special`.
fn looks_special(text: &str) -> bool {
    text.starts_with("<|") && text.ends_with("|>")
}

fn malformed(path: &Path, found: impl Into<String>, expected: &str) -> Error {
    Error::Malformed {
        path: path.to_owned(),
        format: "tokenizer.json",
        found: found.into(),
        expected: expected.to_owned(),
    }
}

pub(super) fn unsupported(path: &Path, what: String) -> Error {
    Error::Unsupported { path: path.to_owned(), what }
}

/// Tokens and ids in file order; a map would take twice the memory and hide duplicates.
#[derive(Default)]
struct Vocab(Vec<(String, u64)>);

impl<'de> Deserialize<'de> for Vocab {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Vocab;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object of tokens and ids")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vocab, A::Error> {
                let mut out = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    out.push(entry);
                }
                Ok(Vocab(out))
            }

            // Unigram models have a list; they are refused by their type, which may follow later in the file.
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vocab, A::Error> {
                while seq.next_element::<serde::de::IgnoredAny>()?.is_some() {}
                Ok(Vocab::default())
            }
        }
        deserializer.deserialize_any(Entries)
    }
}

/// One merge as `left right`, read from such a string or from a pair, whose parts may contain spaces.
struct Merge(String);

impl<'de> Deserialize<'de> for Merge {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Parts;
        impl<'de> Visitor<'de> for Parts {
            type Value = Merge;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a merge: two strings separated by a space, or a pair of strings")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Merge, E> {
                match text.split_once(' ') {
                    Some((a, b)) if !a.is_empty() && !b.is_empty() && !b.contains(' ') => {
                        Ok(Merge(text.to_owned()))
                    }
                    _ => Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)),
                }
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Merge, A::Error> {
                let mut next = || seq.next_element::<String>();
                match (next()?, next()?, next()?) {
                    // Byte-level BPE represents a space by U+0120.
                    (Some(a), Some(b), None) if !a.is_empty() && !b.is_empty() => {
                        Ok(Merge(format!("{} {}", a.replace(' ', "\u{120}"), b.replace(' ', "\u{120}"))))
                    }
                    _ => Err(A::Error::custom("a merge is not a pair of strings")),
                }
            }
        }
        deserializer.deserialize_any(Parts)
    }
}
