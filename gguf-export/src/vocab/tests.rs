//! The golden vocabulary, one test per refusal, and modified files, which must not panic.

use std::path::Path;

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::{Family, split, vocab};
use crate::Result;
use crate::checkpoint::ModelConfig;
use crate::gguf::{Array, Metadata, Value, golden, keys};
use crate::io::{ByteSink, FileSink};

pub(super) fn put(path: &Path, text: &str) {
    let sink = FileSink::open(path).unwrap();
    sink.set_len(text.len() as u64).unwrap();
    sink.write_at(0, text.as_bytes()).unwrap();
}

/// The tokenizer files of a checkpoint with four tokens.
pub(super) struct Toy {
    pub(super) tokenizer: Json,
    pub(super) settings: Json,
    pub(super) config: Json,
    pub(super) family: Family,
    /// Rows of the embedding.
    pub(super) rows: u64,
    pub(super) files: Vec<(&'static str, String)>,
}

impl Toy {
    pub(super) fn new() -> Self {
        Self {
            tokenizer: json!({
                "added_tokens": [{"id": 3, "content": "<|end|>", "special": true}],
                "normalizer": {"type": "NFC"},
                "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
                    {"type": "Split", "behavior": "Isolated", "invert": false,
                     "pattern": {"Regex": split::expressions("qwen2")[0]}},
                    {"type": "ByteLevel", "add_prefix_space": false, "use_regex": false}
                ]},
                "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]}
            }),
            settings: json!({"eos_token": "<|end|>"}),
            config: json!({}),
            family: Family::Plain,
            rows: 6,
            files: Vec::new(),
        }
    }

    pub(super) fn read(&self) -> Result<Metadata> {
        self.read_text(&self.tokenizer.to_string())
    }

    fn read_text(&self, tokenizer: &str) -> Result<Metadata> {
        let dir = self.written(tokenizer);
        let config = ModelConfig::new(Path::new("config.json"), self.config.as_object().unwrap().clone());
        vocab(dir.path(), &config, self.rows, self.family)
    }

    fn written(&self, tokenizer: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("additional_chat_templates")).unwrap();
        put(&dir.path().join("tokenizer.json"), tokenizer);
        put(&dir.path().join("tokenizer_config.json"), &self.settings.to_string());
        for (name, text) in &self.files {
            put(&dir.path().join(name), text);
        }
        dir
    }

    fn notes(&self) -> Vec<String> {
        super::template_notes(self.written("").path()).unwrap()
    }

    #[track_caller]
    pub(super) fn refused(&self, words: &str) {
        let error = self.read().unwrap_err();
        let text = format!(
            "{error}: {}",
            std::error::Error::source(&error).map_or(String::new(), ToString::to_string)
        );
        assert!(text.contains(words), "{text}");
    }
}

#[track_caller]
fn refused(change: impl FnOnce(&mut Json), words: &str) {
    let mut toy = Toy::new();
    change(&mut toy.tokenizer);
    toy.refused(words);
}

#[test]
fn keys_types_and_order_are_those_of_llama_cpp() {
    let config = ModelConfig::read(&golden::folder().join("config.json")).unwrap();
    let ours = vocab(&golden::folder(), &config, 640, Family::Plain).unwrap();
    let theirs = golden::llama("tokenizer.");
    // The normalizer key is an addition: llama.cpp does not normalize.
    assert_eq!(ours.str(keys::TOKENIZER_NORMALIZER), Some("NFC"));
    let names = |m: &Metadata| m.iter().map(|(key, _)| key.to_owned()).collect::<Vec<_>>();
    let mut kept = names(&ours);
    kept.retain(|key| key != keys::TOKENIZER_NORMALIZER);
    assert_eq!(kept, names(&theirs));
    for (key, value) in theirs.iter() {
        assert!(ours.get(key) == Some(value), "{key} differs");
    }
}

#[test]
fn unused_ids_are_padded() {
    let out = Toy::new().read().unwrap();
    let tokens = ["a", "b", "ab", "<|end|>", "[PAD4]", "[PAD5]"].map(str::to_owned).to_vec();
    assert_eq!(out.get("tokenizer.ggml.tokens"), Some(&tokens.into()));
    assert_eq!(out.array("tokenizer.ggml.token_type"), Some(&Array::I32(vec![1, 1, 1, 3, 5, 5])));
    assert_eq!(out.u64("tokenizer.ggml.eos_token_id"), Some(3));
}

#[test]
fn the_pre_tokenizer_is_recognised_by_its_expression() {
    let mut toy = Toy::new();
    assert_eq!(toy.read().unwrap().str("tokenizer.ggml.pre"), Some("qwen2"));
    toy.tokenizer["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] =
        split::expressions("qwen35")[0].into();
    assert_eq!(toy.read().unwrap().str("tokenizer.ggml.pre"), Some("qwen35"));
    toy.tokenizer["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = r"\p{N}{1,3}".into();
    toy.refused(r"pre-tokenizer expression `\p{N}{1,3}` is not supported");
    refused(|t| t["pre_tokenizer"] = Json::Null, "without pre-tokenizer");
    refused(|t| t["pre_tokenizer"] = json!({"type": "Metaspace"}), "pre-tokenizer `Metaspace`");
    refused(|t| t["pre_tokenizer"]["pretokenizers"][1]["add_prefix_space"] = true.into(), "add_prefix_space");
    refused(|t| t["pre_tokenizer"]["pretokenizers"][0]["behavior"] = "Removed".into(), "Removed");
}

#[test]
fn merges_are_strings_or_pairs() {
    let mut toy = Toy::new();
    toy.tokenizer["model"]["merges"] = json!([["a", "b"], [" ", "a b"], "x y"]);
    let merges = ["a b", "Ġ aĠb", "x y"].map(str::to_owned);
    assert_eq!(toy.read().unwrap().strings("tokenizer.ggml.merges").unwrap(), merges);
    for bad in [json!(["a"]), json!("ab"), json!("a b c"), json!(["a", "b", "c"]), json!(["", "b"]), json!(7)]
    {
        toy.tokenizer["model"]["merges"] = json!([bad]);
        toy.refused("merge");
    }
    refused(|t| t["model"]["merges"] = json!([]), "no merges");
}

#[test]
fn other_models_are_refused_by_name() {
    refused(|t| t["model"] = json!({"type": "Unigram", "vocab": [["a", 0.5]]}), "tokenizer model `Unigram`");
    refused(|t| t["model"]["byte_fallback"] = true.into(), "`model.byte_fallback` of true");
    let unmade = |t: &mut Json| {
        t["model"]["ignore_merges"] = true.into();
        t["model"]["vocab"]["ba"] = 4.into();
    };
    refused(
        unmade,
        "`model.ignore_merges` of true with the pre-tokenizer `qwen2` and a token that merges do not make",
    );
    refused(|t| t["model"]["end_of_word_suffix"] = "</w>".into(), "`model.end_of_word_suffix`");
    refused(|t| t["model"]["dropout"] = 0.1.into(), "`model.dropout`");
    refused(|t| t["normalizer"]["type"] = "Lowercase".into(), "normalizer `Lowercase`");
    refused(|t| t["post_processor"] = json!({"type": "RobertaProcessing"}), "RobertaProcessing");
}

#[test]
fn tokens_and_ids_are_one_to_one() {
    refused(|t| t["model"]["vocab"]["c"] = 6.into(), "token `c` with id 6, expected an id below 6");
    refused(|t| t["model"]["vocab"]["c"] = 1.into(), "id 1 for `b` and another token");
    refused(|t| t["added_tokens"][0]["id"] = 2.into(), "id 2 for `ab` and `<|end|>`");
    refused(|t| t["added_tokens"][0]["id"] = u64::MAX.into(), "with id 18446744073709551615");
    refused(|t| t["model"]["vocab"]["<|end|>"] = 5.into(), "token `<|end|>` under two ids");
    refused(|t| t["model"]["vocab"]["[PAD5]"] = 4.into(), "token `[PAD5]` under two ids");
    refused(|t| t["model"]["vocab"]["c"] = json!(-1), "invalid value");
}

#[test]
fn added_tokens_get_their_types() {
    let mut toy = Toy::new();
    toy.tokenizer["added_tokens"] = json!([
        {"id": 3, "content": "<|end|>", "special": false},
        {"id": 4, "content": "<think>", "special": false}
    ]);
    toy.settings["added_tokens_decoder"] = json!({"5": {"content": "<pad>", "special": true}});
    let out = toy.read().unwrap();
    assert_eq!(out.array("tokenizer.ggml.token_type"), Some(&Array::I32(vec![1, 1, 1, 3, 4, 3])));
    toy.settings["added_tokens_decoder"] = json!({"4": {"content": "<other>"}});
    toy.refused("`added_tokens_decoder.4`");
}

#[test]
fn special_ids_are_read_by_text_and_otherwise_by_number() {
    let mut toy = Toy::new();
    toy.settings = json!({"eos_token": {"content": "<|end|>"}});
    toy.config = json!({"eos_token_id": 1, "bos_token_id": 0});
    let out = toy.read().unwrap();
    assert_eq!(
        (out.u64("tokenizer.ggml.eos_token_id"), out.u64("tokenizer.ggml.bos_token_id")),
        (Some(3), Some(0))
    );
    toy.settings = json!({});
    toy.config = json!({});
    toy.refused("`eos_token_id` is missing");
    toy.files.push(("generation_config.json", r#"{"eos_token_id": [2, 3]}"#.to_owned()));
    assert_eq!(toy.read().unwrap().u64("tokenizer.ggml.eos_token_id"), Some(2));
    toy.config = json!({"eos_token_id": 6});
    toy.refused("expected a token id below 6");
    toy.settings = json!({"eos_token": "<none>"});
    toy.refused("`eos_token` is `\"<none>\"`, expected an added token");
}

#[test]
fn tokens_around_a_text_are_read_from_the_post_processor() {
    let mut toy = Toy::new();
    toy.settings["bos_token"] = "<|end|>".into();
    let sequence = json!({"Sequence": {"id": "A"}});
    let end = json!({"SpecialToken": {"id": "<|end|>"}});
    let mut around = |single: Json| {
        toy.tokenizer["post_processor"] = json!({"type": "TemplateProcessing", "single": single});
        toy.read()
            .map(|out| (out.bool("tokenizer.ggml.add_bos_token"), out.bool("tokenizer.ggml.add_eos_token")))
    };
    assert_eq!(around(json!([sequence])).unwrap(), (None, None));
    assert_eq!(around(json!([end, sequence])).unwrap(), (Some(true), None));
    assert_eq!(around(json!([end, sequence, end])).unwrap(), (Some(true), Some(true)));
    assert!(around(json!([{"SpecialToken": {"id": "?"}}, sequence])).is_err());
    assert!(around(json!([])).is_err());
    toy.tokenizer["post_processor"] = json!({"type": "ByteLevel"});
    assert_eq!(toy.read().unwrap().bool("tokenizer.ggml.add_eos_token"), Some(false));
}

#[test]
fn the_chat_template_is_read_from_three_files() {
    let mut toy = Toy::new();
    let text = |toy: &Toy| toy.read().unwrap().str("tokenizer.chat_template").map(str::to_owned);
    assert_eq!(text(&toy), None);
    toy.files.push(("chat_template.json", r#"{"chat_template": "json"}"#.to_owned()));
    assert_eq!(text(&toy).as_deref(), Some("json"));
    toy.files.push(("chat_template.jinja", "jinja".to_owned()));
    assert_eq!(text(&toy).as_deref(), Some("jinja"));
    let left_out = |file: &str, by: &str| {
        format!("left out the chat template of `{file}`: it differs from that of `{by}`")
    };
    assert_eq!(toy.notes(), [left_out("chat_template.json", "chat_template.jinja")]);
    toy.settings["chat_template"] = "config".into();
    assert_eq!(text(&toy).as_deref(), Some("config"));
    let both = ["chat_template.jinja", "chat_template.json"];
    assert_eq!(toy.notes(), both.map(|file| left_out(file, "tokenizer_config.json")));
    let mut named = Toy::new();
    named.settings["chat_template"] = "config".into();
    let list = json!({"chat_template": [{"name": "default", "template": "other"}]});
    named.files.push(("chat_template.json", list.to_string()));
    assert_eq!(named.notes(), [left_out("chat_template.json", "tokenizer_config.json")]);
    toy.settings["chat_template"] =
        json!([{"name": "tool use", "template": "t"}, {"name": "default", "template": "d"}]);
    let out = toy.read().unwrap();
    assert_eq!(out.str("tokenizer.chat_template.tool_use"), Some("t"));
    assert_eq!(out.get("tokenizer.chat_templates"), Some(&Value::from(vec!["tool_use".to_owned()])));
    assert_eq!(out.str("tokenizer.chat_template"), Some("d"));
    toy.settings["chat_template"] = 7.into();
    toy.refused("`chat_template` is `7`");
}

#[test]
fn additional_chat_templates_are_kept_beside_any_default() {
    let mut toy = Toy::new();
    toy.files.push(("additional_chat_templates/rag.jinja", "r".to_owned()));
    toy.files.push(("additional_chat_templates/tool use.jinja", "t".to_owned()));
    toy.files.push(("additional_chat_templates/notes.txt", "not a template".to_owned()));
    let named = |toy: &Toy| {
        let out = toy.read().unwrap();
        assert_eq!(out.str("tokenizer.chat_template.rag"), Some("r"));
        assert_eq!(out.str("tokenizer.chat_template.tool_use"), Some("t"));
        out.strings("tokenizer.chat_templates").unwrap().to_vec()
    };
    assert_eq!(named(&toy), ["rag", "tool_use"]);
    toy.files.push(("chat_template.jinja", "jinja".to_owned()));
    assert_eq!(named(&toy), ["rag", "tool_use"]);
    assert_eq!(toy.read().unwrap().str("tokenizer.chat_template"), Some("jinja"));
    assert_eq!(toy.notes(), [""; 0]);
    toy.settings["chat_template"] = json!([{"name": "x", "template": "x"}, {"name": "rag", "template": "r"}]);
    assert_eq!(named(&toy), ["x", "rag", "tool_use"]);
}

#[test]
fn a_missing_or_replaced_chat_template_is_noted() {
    let mut toy = Toy::new();
    assert_eq!(toy.notes(), ["the checkpoint has no chat template"]);
    toy.settings["chat_template"] = "config".into();
    assert_eq!(toy.notes(), [""; 0]);
    toy.files.push(("chat_template.jinja", "jinja".to_owned()));
    let note = "left out the chat template of `chat_template.jinja`: it differs from that of `tokenizer_config.json`";
    assert_eq!(toy.notes(), [note]);
    toy.settings["chat_template"] = "jinja".into();
    assert_eq!(toy.notes(), [""; 0]);
    toy.settings["chat_template"] = json!([
        {"name": "default", "template": "jinja"}, {"name": "a b", "template": "1"},
        {"name": "a_b", "template": "2"}, {"name": "", "template": "3"},
    ]);
    assert_eq!(
        toy.notes(),
        ["left out a second chat template named `a_b`", "left out a chat template without a name"]
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn modified_files_are_read_or_refused(at in 0usize..700, byte in 32u8..127, cut in 0usize..1400) {
        let toy = Toy::new();
        let mut text = toy.tokenizer.to_string().into_bytes();
        let n = text.len();
        text[at % n] = byte;
        text.truncate(cut);
        drop(toy.read_text(&String::from_utf8(text).unwrap()));
    }
}
