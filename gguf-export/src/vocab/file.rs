//! The content of `tokenizer.json`, as far as it matters here, and how it is refused.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use crate::checkpoint::{ModelConfig, folder, json};
use crate::{Error, Result, io};

const NAME: &str = "tokenizer.json";
/// Size limit of the file in bytes.
const MAX_BYTES: u64 = 256 << 20;
/// Files with tokenizers in other forms, which are refused, and what they are.
pub const OTHER_TOKENIZERS: [(&str, &str); 3] = [
    ("tekken.json", "a tokenizer in Mistral's own format"),
    ("tiktoken.model", "a tiktoken file, whose split expression is in program code"),
    ("tokenizer.model", "a SentencePiece model"),
];

/// Limit of its JSON values; vocabularies of 250 000 tokens have less than three million.
const MAX_VALUES: usize = 8 << 20;

#[derive(Deserialize)]
pub(super) struct File {
    #[serde(default)]
    pub(super) added_tokens: Vec<AddedToken>,
    pub(super) normalizer: Option<Value>,
    pub(super) pre_tokenizer: Option<Value>,
    pub(super) post_processor: Option<Value>,
    pub(super) decoder: Option<Value>,
    pub(super) model: Model,
}

#[derive(Deserialize)]
pub(super) struct AddedToken {
    pub(super) id: u64,
    pub(super) content: String,
    #[serde(default)]
    pub(super) special: bool,
}

#[derive(Deserialize)]
pub(super) struct Model {
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    pub(super) dropout: Option<f64>,
    pub(super) continuing_subword_prefix: Option<String>,
    pub(super) end_of_word_suffix: Option<String>,
    #[serde(default)]
    pub(super) byte_fallback: bool,
    #[serde(default)]
    pub(super) ignore_merges: bool,
    #[serde(default)]
    pub(super) vocab: Vocab,
    #[serde(default)]
    pub(super) merges: Vec<Merge>,
}

/// Finds the file in a checkpoint. Refuses the forms of tokenizers that may be there instead.
pub(super) fn find(dir: &Path) -> Result<PathBuf> {
    if let Some(path) = folder::optional(dir, NAME)? {
        return Ok(path);
    }
    for (name, form) in OTHER_TOKENIZERS {
        if let Some(path) = folder::optional(dir, name)? {
            return Err(Error::OtherTokenizer { path, form });
        }
    }
    folder::inside(dir, NAME)
}

impl File {
    /// Reads the file at `path`.
    pub(super) fn read(path: &Path) -> Result<Self> {
        Self::parse(path, &io::read_to_string(path, MAX_BYTES)?)
    }

    /// Parses the text of the file; `path` is for error messages.
    pub(super) fn parse(path: &Path, text: &str) -> Result<Self> {
        json::limit_values(path, text, MAX_VALUES)?;
        serde_json::from_str(text).map_err(|source| Error::Json { path: path.to_owned(), source })
    }

    /// Adds the tokens of `added_tokens_decoder`, which also overrides `special` of known tokens.
    pub(super) fn add_from(&mut self, settings: &ModelConfig) -> Result<()> {
        let Some(list) = settings.section("added_tokens_decoder")? else { return Ok(()) };
        let added = &mut self.added_tokens;
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

    /// Refuses models other than BPE on whole words.
    pub(super) fn check_bpe(&self, path: &Path) -> Result<()> {
        let model = &self.model;
        let set = |text: &Option<String>| text.as_ref().is_some_and(|t| !t.is_empty());
        let what = if model.kind.as_deref() != Some("BPE") {
            format!("tokenizer model `{}`", model.kind.as_deref().unwrap_or("without a type"))
        } else if model.dropout.is_some_and(|p| p != 0.0) {
            "`model.dropout`".to_owned()
        } else if set(&model.continuing_subword_prefix) {
            "`model.continuing_subword_prefix`".to_owned()
        } else if set(&model.end_of_word_suffix) {
            "`model.end_of_word_suffix`".to_owned()
        } else if model.merges.is_empty() {
            return Err(malformed(path, "no merges", "a list in `model.merges`"));
        } else {
            return Ok(());
        };
        Err(unsupported(path, what))
    }
}

/// The steps of a normalizer, pre-tokenizer or decoder: those of a `Sequence` under `field`, or the only one.
pub(super) fn steps<'v>(value: Option<&'v Value>, field: &str) -> &'v [Value] {
    match value {
        None => &[],
        Some(value) => match value[field].as_array() {
            Some(steps) => steps,
            None if value.is_null() => &[],
            None => std::slice::from_ref(value),
        },
    }
}

/// The types of steps, for a message.
pub(super) fn types(steps: &[Value]) -> String {
    let names: Vec<_> = steps.iter().map(|step| step["type"].as_str().unwrap_or("?")).collect();
    names.join(", ")
}

pub(super) fn malformed(path: &Path, found: impl Into<String>, expected: &str) -> Error {
    Error::Malformed {
        path: path.to_owned(),
        format: NAME,
        found: shorten(found.into()),
        expected: expected.to_owned(),
    }
}

pub(super) fn unsupported(path: &Path, what: impl Into<String>) -> Error {
    Error::Unsupported { path: path.to_owned(), what: shorten(what.into()) }
}

/// Limits what a message repeats of the file. The longest expression of a known pre-tokenizer is half of that.
fn shorten(mut text: String) -> String {
    const MOST: usize = 1000;
    if let Some((end, _)) = text.char_indices().nth(MOST) {
        text.truncate(end);
        text.push('…');
    }
    text
}

/// Tokens and ids in file order; a map would take twice the memory and hide duplicates.
#[derive(Default)]
pub(super) struct Vocab(pub(super) Vec<(String, u64)>);

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
pub(super) struct Merge(pub(super) String);

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
