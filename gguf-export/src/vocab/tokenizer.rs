//! A tokenizer in the form of GGUF keys, and how its tokens are placed by id.

use std::path::Path;

use serde_json::Value;

use super::file::{AddedToken, malformed};
use super::kind;
use crate::Result;
use crate::gguf::{Metadata, keys};

/// Limit of the number of tokens; llama.cpp counts them as i32.
const MAX_TOKENS: u64 = 1 << 24;

/// A tokenizer, with what the special tokens depend on.
pub(super) struct Tokenizer {
    /// The kind of tokenizer in `tokenizer.ggml.model`.
    pub(super) model: &'static str,
    /// llama.cpp's name of the pre-tokenizer, where the kind does not decide it.
    pub(super) pre: Option<&'static str>,
    /// True if text is normalized to NFC before pre-tokenization.
    pub(super) nfc: bool,
    /// Token texts by id.
    pub(super) tokens: Vec<String>,
    /// Token scores by id, where the kind has them.
    pub(super) scores: Option<Vec<f32>>,
    /// Token types by id; see [`kind`].
    pub(super) types: Vec<i32>,
    /// Merges by rank, `left right`.
    pub(super) merges: Vec<String>,
    /// The post-processor, which adds tokens around a text.
    pub(super) post_processor: Option<Value>,
    /// True if llama.cpp begins every text with the BOS token unless a key forbids it.
    pub(super) add_bos: bool,
}

impl Tokenizer {
    /// The keys up to the merges, in llama.cpp's order.
    pub(super) fn into_keys(self) -> Metadata {
        let mut out = Metadata::new();
        out.push(keys::TOKENIZER_MODEL, self.model);
        if let Some(pre) = self.pre {
            out.push(keys::TOKENIZER_PRE, pre);
        }
        if self.nfc {
            out.push(keys::TOKENIZER_NORMALIZER, "NFC");
        }
        out.push(keys::TOKENIZER_TOKENS, self.tokens);
        if let Some(scores) = self.scores {
            out.push("tokenizer.ggml.scores", scores);
        }
        out.push(keys::TOKENIZER_TOKEN_TYPE, self.types);
        out.push(keys::TOKENIZER_MERGES, self.merges);
        out
    }
}

/// Refuses an embedding with more rows than a vocabulary may have.
pub(super) fn check_size(path: &Path, rows: u64) -> Result<()> {
    if rows > MAX_TOKENS {
        return Err(malformed(path, format!("an embedding of {rows} rows"), "at most 2^24"));
    }
    Ok(())
}

/// Token texts and types by id, for each row of the embedding; ids without a token are [`kind::UNUSED`].
///
/// `added_type` gives the type of an added token; its second argument is true if the vocabulary has the token too.
pub(super) fn place(
    path: &Path,
    vocab: Vec<(String, u64)>,
    added: Vec<AddedToken>,
    rows: u64,
    added_type: impl Fn(&AddedToken, bool) -> i32,
) -> Result<(Vec<Option<String>>, Vec<i32>)> {
    let size = usize::try_from(rows).unwrap_or(0);
    let mut tokens: Vec<Option<String>> = vec![None; size];
    let mut types = vec![kind::UNUSED; size];
    let row = |id: u64, text: &str| {
        usize::try_from(id).ok().filter(|id| *id < size).ok_or_else(|| {
            malformed(
                path,
                format!("token `{text}` with id {id}"),
                &format!("an id below {rows}, the rows of the embedding"),
            )
        })
    };
    for (text, id) in vocab {
        let at = row(id, &text)?;
        if let Some(other) = tokens[at].replace(text) {
            return Err(malformed(path, format!("id {id} for `{other}` and another token"), "one token"));
        }
        types[at] = kind::NORMAL;
    }
    for token in added {
        let at = row(token.id, &token.content)?;
        types[at] = added_type(&token, types[at] == kind::NORMAL);
        if let Some(other) = &tokens[at]
            && *other != token.content
        {
            let found = format!("id {} for `{other}` and `{}`", token.id, token.content);
            return Err(malformed(path, found, "one token"));
        }
        tokens[at] = Some(token.content);
    }
    Ok((tokens, types))
}

/// Refuses a text under two ids; llama.cpp asserts that texts are unique.
pub(super) fn check_unique(path: &Path, tokens: &[String]) -> Result<()> {
    let mut sorted: Vec<&str> = tokens.iter().map(String::as_str).collect();
    sorted.sort_unstable();
    match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(malformed(path, format!("token `{}` under two ids", pair[0]), "one id")),
        None => Ok(()),
    }
}
