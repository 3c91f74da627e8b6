//! A minimal byte-level BPE tokenizer: 256 bytes, a few merges, the special tokens.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// Pre-tokenizer expression of Qwen2 and its successors.
const SPLIT: &str = concat!(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|",
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
);

/// Merges of the tiny vocabulary by rank; each adds one token.
const MERGES: [(&str, &str); 16] = [
    ("Ġ", "t"),
    ("h", "e"),
    ("Ġ", "a"),
    ("i", "n"),
    ("Ġt", "he"),
    ("r", "e"),
    ("o", "n"),
    ("e", "r"),
    ("Ġ", "s"),
    ("a", "t"),
    ("Ã", "¤"),
    ("in", "g"),
    ("o", "r"),
    ("u", "s"),
    ("us", "er"),
    ("Ċ", "Ċ"),
];

/// Added tokens; true for special ones.
const ADDED: [(&str, bool); 5] = [
    ("<|endoftext|>", true),
    ("<|im_start|>", true),
    ("<|im_end|>", true),
    ("<think>", false),
    ("</think>", false),
];

/// Chat template; the assistant's turn starts with `<think>`.
const TEMPLATE: &str = "{%- for message in messages %}\
    {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}\
    {%- endfor %}\
    {%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n<think>\\n' }}{%- endif %}";

/// Number of tokens of the tiny vocabulary; higher ids are unused.
pub const LEN: usize = 256 + MERGES.len() + ADDED.len();

/// The id of an added token of the tiny vocabulary.
pub fn added_id(content: &str) -> usize {
    let at = ADDED.iter().position(|(added, _)| *added == content);
    256 + MERGES.len() + at.unwrap_or_else(|| panic!("`{content}` is not an added token"))
}

/// The tokenizer files of the tiny vocabulary.
pub fn files() -> BTreeMap<String, Value> {
    let merges: Vec<(String, String)> = MERGES.iter().map(|(a, b)| ((*a).into(), (*b).into())).collect();
    files_of(&merges, &ADDED, 4096)
}

/// The tokenizer files of a vocabulary: 256 bytes, one token per merge, then the tokens of `added`.
pub fn files_of(
    merges: &[(String, String)],
    added: &[(&str, bool)],
    context: usize,
) -> BTreeMap<String, Value> {
    let first = 256 + merges.len();
    let id = |content: &str| first + added.iter().position(|(c, _)| *c == content).expect("an added token");
    let mut vocab = Map::new();
    for (i, character) in byte_characters().into_iter().enumerate() {
        vocab.insert(character.into(), json!(i));
    }
    for (i, (left, right)) in merges.iter().enumerate() {
        assert!(vocab.insert(format!("{left}{right}"), json!(256 + i)).is_none(), "merge {i} is a duplicate");
    }
    let added_tokens: Vec<Value> = added
        .iter()
        .enumerate()
        .map(|(i, (content, special))| {
            json!({"id": first + i, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
                   "normalized": false, "special": special})
        })
        .collect();
    let tokenizer = json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added_tokens,
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": SPLIT}, "behavior": "Isolated", "invert": false},
            {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false},
        ]},
        "post_processor":
            {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false},
        "decoder": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false},
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": "",
            "end_of_word_suffix": "", "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
            "vocab": vocab, "merges": merges,
        },
    });
    let tokenizer_config = json!({
        "add_bos_token": false,
        "add_prefix_space": false,
        "bos_token": null,
        "chat_template": TEMPLATE,
        "clean_up_tokenization_spaces": false,
        "eos_token": "<|im_end|>",
        "model_max_length": context,
        "pad_token": "<|endoftext|>",
        "tokenizer_class": "Qwen2Tokenizer",
        "unk_token": null,
    });
    let generation_config = json!({
        "do_sample": true,
        "temperature": 0.6,
        "top_k": 20,
        "top_p": 0.95,
        "eos_token_id": [id("<|im_end|>"), id("<|endoftext|>")],
        "pad_token_id": id("<|endoftext|>"),
    });
    BTreeMap::from([
        ("tokenizer.json".into(), tokenizer),
        ("tokenizer_config.json".into(), tokenizer_config),
        ("generation_config.json".into(), generation_config),
    ])
}

/// The characters that represent the 256 bytes, by id: printable bytes represent themselves and come first; the others
/// are represented by characters from U+0100.
pub fn byte_characters() -> Vec<char> {
    let printable = |byte: &u32| matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
    let own = (0..256).filter(printable);
    let others = (0..256 - (0..256).filter(printable).count() as u32).map(|i| 0x100 + i);
    own.chain(others).map(|code| char::from_u32(code).expect("a code point")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_the_usual_characters() {
        let letters = byte_characters();
        assert_eq!(letters.len(), 256);
        assert_eq!((letters[0], letters[93], letters[188], letters[220]), ('!', '~', 'Ā', 'Ġ'));
    }

    #[test]
    fn every_merge_joins_two_tokens() {
        let tokenizer = &files()["tokenizer.json"];
        let vocab = &tokenizer["model"]["vocab"];
        for (left, right) in MERGES {
            for token in [left, right, &format!("{left}{right}")] {
                assert!(vocab[token].is_u64(), "`{token}`");
            }
        }
        assert_eq!(vocab.as_object().unwrap().len() + ADDED.len(), LEN);
        assert_eq!(tokenizer["added_tokens"][2]["id"], added_id("<|im_end|>"));
    }
}
