//! The tokenizers of all families against llama.cpp's converter, and one test per refusal.

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};

use super::tests::{Toy, put};
use super::{Family, split, vocab};
use crate::checkpoint::ModelConfig;
use crate::gguf::{Array, Metadata, Value, keys};
use crate::io;

const FAMILIES: [(&str, Family); 15] = [
    ("deepseek-v3", Family::Plain),
    ("gemma4", Family::Gemma4),
    ("gemma4-e2b", Family::Gemma4),
    ("gemma4-moe", Family::Gemma4),
    ("glm4-moe", Family::Glm4),
    ("glm4-moe-lite", Family::Glm4),
    ("gpt-oss", Family::Plain),
    ("llama3", Family::Plain),
    ("minimax-m2", Family::MiniMaxM2),
    ("mistral3", Family::Plain),
    ("qwen3", Family::Plain),
    ("qwen3-moe", Family::Plain),
    ("qwen3_5", Family::Plain),
    ("qwen3_5-moe", Family::Plain),
    ("qwen3_5-text", Family::Plain),
];

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/families").join(name)
}

fn text(path: &Path) -> String {
    io::read_to_string(path, 1 << 20).unwrap()
}

fn json(path: &Path) -> Json {
    serde_json::from_str(&text(path)).unwrap()
}

/// A key as `llama.json` has it: type and value, arrays as count and hash.
fn shown(value: &Value) -> Json {
    fn list<T: ToString>(kind: &str, values: &[T]) -> Json {
        let text = values.iter().map(T::to_string).collect::<Vec<_>>().join("\n");
        let hash = io::hex(&Sha256::digest(text));
        json!([kind, {"count": values.len(), "sha256": hash}])
    }
    match value {
        Value::Str(text) => json!(["STRING", text]),
        Value::U32(n) => json!(["UINT32", n]),
        Value::Bool(is) => json!(["BOOL", is]),
        Value::Array(Array::Str(values)) => list("[STRING]", values),
        Value::Array(Array::I32(values)) => list("[INT32]", values),
        // As Python writes whole numbers.
        Value::Array(Array::F32(values)) => {
            list("[FLOAT32]", &values.iter().map(|value| format!("{value:.1}")).collect::<Vec<_>>())
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_family_has_the_keys_that_llama_cpp_writes() {
    let mut names = io::list(&folder("")).unwrap();
    names.retain(|name| !name.contains('.') && !name.ends_with("-int4"));
    names.sort();
    assert_eq!(names, FAMILIES.map(|(name, _)| name), "every folder is checked");
    for (name, family) in FAMILIES {
        let dir = folder(name);
        let golden = json(&dir.join("llama.json"));
        let rows = golden["tensors"]["token_embd.weight"][1][1].as_u64().unwrap();
        let config = ModelConfig::read(&dir.join("config.json")).unwrap();
        let ours = vocab(&dir, &config, rows, family).unwrap();
        let ours: Vec<(String, Json)> = ours
            .iter()
            .filter(|(key, _)| *key != keys::TOKENIZER_NORMALIZER)
            .map(|(key, value)| (key.to_owned(), shown(value)))
            .collect();
        let theirs: Vec<(String, Json)> = golden["keys"]
            .as_object()
            .unwrap()
            .iter()
            .filter(|(key, _)| key.starts_with("tokenizer."))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        assert_eq!(ours, theirs, "{name}");
    }
}

/// The files of a family's folder, to be changed.
fn family(name: &str) -> Toy {
    let (_, family) = FAMILIES.into_iter().find(|(known, _)| *known == name).unwrap();
    let dir = folder(name);
    Toy {
        tokenizer: json(&dir.join("tokenizer.json")),
        settings: json(&dir.join("tokenizer_config.json")),
        config: json(&dir.join("config.json")),
        family,
        rows: 320,
        files: Vec::new(),
    }
}

/// Checks that a family is accepted, and refused with these words after a change.
#[track_caller]
fn refused(name: &str, change: impl FnOnce(&mut Toy), words: &str) {
    let mut toy = family(name);
    toy.read().unwrap();
    change(&mut toy);
    toy.refused(words);
}

/// Sets the splits of a pre-tokenizer.
fn split_by(toy: &mut Toy, expressions: &[&str]) {
    let mut steps: Vec<Json> = expressions
        .iter()
        .map(|text| json!({"type": "Split", "pattern": {"Regex": text}, "behavior": "Isolated", "invert": false}))
        .collect();
    steps.push(json!({"type": "ByteLevel", "add_prefix_space": false, "use_regex": false}));
    toy.tokenizer["pre_tokenizer"] = json!({"type": "Sequence", "pretokenizers": steps});
}

#[test]
fn each_pre_tokenizer_is_recognised_by_all_its_expressions_and_the_family() {
    for (pre, family) in [
        ("qwen2", Family::Plain),
        ("qwen35", Family::Plain),
        ("llama-bpe", Family::Plain),
        ("tekken", Family::Plain),
        ("gpt-4o", Family::Plain),
        ("glm4", Family::Glm4),
        ("minimax-m2", Family::MiniMaxM2),
        ("deepseek-v3", Family::Plain),
        ("kimi-k2", Family::Plain),
    ] {
        let name = if family == Family::Glm4 { "glm4-moe" } else { "llama3" };
        let mut toy = self::family(name);
        toy.family = family;
        let expressions = split::expressions(pre);
        split_by(&mut toy, expressions);
        assert_eq!(toy.read().unwrap().str(keys::TOKENIZER_PRE), Some(pre));
        // A line end may stand for itself.
        let raw: Vec<String> =
            expressions.iter().map(|text| text.replace(r"\r", "\r").replace(r"\n", "\n")).collect();
        split_by(&mut toy, &raw.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(toy.read().unwrap().str(keys::TOKENIZER_PRE), Some(pre));
        for at in 0..expressions.len() {
            let mut changed: Vec<String> = expressions.iter().map(|text| (*text).to_owned()).collect();
            changed[at].push_str("|x");
            split_by(&mut toy, &changed.iter().map(String::as_str).collect::<Vec<_>>());
            toy.refused("pre-tokenizer expression");
        }
    }
}

#[test]
fn a_message_repeats_a_limited_part_of_the_file() {
    let mut toy = family("llama3");
    split_by(&mut toy, &["é|".repeat(100_000).as_str()]);
    let error = toy.read().unwrap_err().to_string();
    assert!(error.contains("é|é|") && error.len() < 3000, "{}", error.len());
}

#[test]
fn splits_in_another_order_or_number_are_refused() {
    let [digits, kana, rest] = split::expressions("deepseek-v3") else { panic!("three") };
    for expressions in
        [&[*kana, *digits, *rest][..], &[*digits, *kana], &[*rest], &[*digits, *kana, *rest, *rest]]
    {
        refused("deepseek-v3", |toy| split_by(toy, expressions), "pre-tokenizer expression");
    }
    refused("deepseek-v3", |toy| split_by(toy, &[]), "pre-tokenizer `ByteLevel`");
    let only = |toy: &mut Toy| {
        toy.tokenizer["pre_tokenizer"]["pretokenizers"].as_array_mut().unwrap().pop();
    };
    refused("llama3", only, "pre-tokenizer `Split`");
    let ahead = |toy: &mut Toy| {
        let steps = toy.tokenizer["pre_tokenizer"]["pretokenizers"].as_array_mut().unwrap();
        steps.insert(0, json!({"type": "Digits", "individual_digits": true}));
    };
    refused("llama3", ahead, r#"pre-tokenizer `{"type":"Digits""#);
    let regex = |toy: &mut Toy| {
        toy.tokenizer["pre_tokenizer"]["pretokenizers"][1].as_object_mut().unwrap().remove("use_regex");
    };
    refused("llama3", regex, r#"pre-tokenizer `{"type":"ByteLevel""#);
}

#[test]
fn ignored_merges_are_refused_where_they_make_a_difference_to_llama_cpp() {
    // Each token of these files is what its merges make: either value means the same.
    for (name, value) in [("llama3", false), ("glm4-moe", false), ("mistral3", false), ("gpt-oss", true)] {
        let mut toy = family(name);
        toy.tokenizer["model"]["ignore_merges"] = value.into();
        toy.read().unwrap();
        let unmade = toy.tokenizer["model"]["vocab"].as_object().unwrap().keys().next_back().unwrap().clone();
        let last = toy.tokenizer["model"]["merges"].as_array_mut().unwrap().pop().unwrap();
        toy.refused(&format!("`model.ignore_merges` of {value} with the pre-tokenizer"));
        toy.refused(&format!("a token that merges do not make (`{unmade}`) is not supported"));
        toy.tokenizer["model"]["ignore_merges"] = (!value).into();
        toy.read().unwrap();
        toy.tokenizer["model"]["ignore_merges"] = value.into();
        toy.tokenizer["model"]["merges"].as_array_mut().unwrap().push(last);
        toy.tokenizer["model"]["merges"].as_array_mut().unwrap().push(json!(["no", "token"]));
        toy.refused("merge `no token`, expected tokens of `model.vocab` in every merge");
    }
}

#[test]
fn sentence_piece_is_refused() {
    refused(
        "llama3",
        |toy| toy.tokenizer["model"]["byte_fallback"] = true.into(),
        "a SentencePiece tokenizer",
    );
    let prepend = json!({"type": "Sequence", "normalizers": [
        {"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
    ]});
    refused("llama3", |toy| toy.tokenizer["normalizer"] = prepend.clone(), "normalizer `Prepend, Replace`");
    let metaspace = json!({"type": "Metaspace", "replacement": "▁"});
    refused("llama3", |toy| toy.tokenizer["pre_tokenizer"] = metaspace, "pre-tokenizer `Metaspace`");
    refused("gemma4", |toy| toy.family = Family::Plain, "a SentencePiece tokenizer");
    refused("gemma4", |toy| toy.tokenizer["normalizer"] = prepend, "Gemma 4 with the normalizer");
}

#[test]
fn a_normalizer_may_be_an_empty_or_short_sequence() {
    let mut toy = family("deepseek-v3");
    toy.tokenizer["normalizer"] = json!({"type": "Sequence", "normalizers": []});
    assert_eq!(toy.read().unwrap().get(keys::TOKENIZER_NORMALIZER), None);
    toy.tokenizer["normalizer"] = json!({"type": "Sequence", "normalizers": [{"type": "NFC"}]});
    assert_eq!(toy.read().unwrap().str(keys::TOKENIZER_NORMALIZER), Some("NFC"));
    toy.tokenizer["normalizer"] =
        json!({"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Strip"}]});
    toy.refused("normalizer `NFC, Strip`");
}

#[test]
fn other_files_in_place_of_the_tokenizer_are_refused_by_name() {
    let config = ModelConfig::read(&folder("llama3").join("config.json")).unwrap();
    for (name, words) in [
        ("tekken.json", "is a tokenizer in Mistral's own format, expected `tokenizer.json` beside it"),
        ("tiktoken.model", "is a tiktoken file, whose split expression is in program code, expected"),
        ("tokenizer.model", "is a SentencePiece model, expected `tokenizer.json` beside it"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        put(&dir.path().join(name), "x");
        let error = vocab(dir.path(), &config, 320, Family::Plain).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains(words), "{error}");
        put(&dir.path().join("tokenizer.json"), &text(&folder("llama3").join("tokenizer.json")));
        vocab(dir.path(), &config, 320, Family::Plain).unwrap();
    }
    let dir = tempfile::tempdir().unwrap();
    let error = vocab(dir.path(), &config, 320, Family::Plain).unwrap_err();
    assert!(error.to_string().contains("tokenizer.json"), "{error}");
}

/// Removes every trace of a BOS token.
fn without_bos(toy: &mut Toy) {
    toy.settings.as_object_mut().unwrap().remove("bos_token");
    toy.config["bos_token_id"] = Json::Null;
    toy.tokenizer["post_processor"] = Json::Null;
}

#[test]
fn a_text_that_begins_with_a_token_needs_its_id() {
    let words =
        "`bos_token_id` is missing, expected a token id here, or `bos_token` in `tokenizer_config.json`";
    // llama.cpp adds one to these without a key.
    refused("llama3", without_bos, words);
    let mut toy = family("llama3");
    without_bos(&mut toy);
    toy.settings["add_bos_token"] = false.into();
    let out = toy.read().unwrap();
    assert_eq!((out.u64(keys::TOKENIZER_BOS), out.bool(keys::TOKENIZER_ADD_BOS)), (None, Some(false)));
    toy.settings["add_bos_token"] = true.into();
    toy.refused(words);
    toy.config["bos_token_id"] = 5.into();
    assert_eq!(toy.read().unwrap().u64(keys::TOKENIZER_BOS), Some(5));
    // The others have none, until they say so.
    let mut toy = family("qwen3");
    assert_eq!(toy.read().unwrap().u64(keys::TOKENIZER_BOS), None);
    toy.settings["add_bos_token"] = true.into();
    toy.refused(words);
    refused(
        "gemma4",
        |toy| {
            without_bos(toy);
            toy.config["text_config"]["bos_token_id"] = Json::Null;
        },
        words,
    );
}

#[test]
fn the_bos_token_is_that_of_the_template_where_no_other_is_named() {
    let mut toy = family("llama3");
    toy.settings.as_object_mut().unwrap().remove("bos_token");
    toy.config["bos_token_id"] = Json::Null;
    let out = toy.read().unwrap();
    assert_eq!((out.u64(keys::TOKENIZER_BOS), out.bool(keys::TOKENIZER_ADD_BOS)), (Some(312), Some(true)));
    toy.settings["bos_token"] = "<|im_end|>".into();
    toy.refused("post-processor template");
    toy.settings["bos_token"] = "<|im_start|>".into();
    toy.tokenizer["post_processor"] = json!({"type": "Sequence", "processors": [
        {"type": "ByteLevel"}, toy.tokenizer["post_processor"]
    ]});
    let out = toy.read().unwrap();
    assert_eq!(out.bool(keys::TOKENIZER_ADD_BOS), Some(true));
    assert_eq!(out.bool("tokenizer.ggml.add_eos_token"), Some(false));
    let two = json!([{"SpecialToken": {"id": "<|im_start|>"}}, {"SpecialToken": {"id": "<think>"}}, {"Sequence": {"id": "A"}}]);
    toy.tokenizer["post_processor"]["processors"][1]["single"] = two;
    toy.refused("post-processor template");
}

#[test]
fn a_separator_of_two_texts_is_written_as_llama_cpp_does() {
    let mut toy = family("qwen3");
    let token = |text: &str| json!({"SpecialToken": {"id": text}});
    let (a, b) = (json!({"Sequence": {"id": "A"}}), json!({"Sequence": {"id": "B"}}));
    let mut with = |single: Json, pair: Json| {
        toy.tokenizer["post_processor"] =
            json!({"type": "TemplateProcessing", "single": single, "pair": pair});
        let out = toy.read().unwrap();
        (out.bool("tokenizer.ggml.add_sep_token"), out.u64("tokenizer.ggml.seperator_token_id"))
    };
    let (end, other) = (token("<|im_end|>"), token("<think>"));
    assert_eq!(with(json!([a]), json!([a, end, b])), (Some(true), Some(313)));
    assert_eq!(with(json!([a, end]), json!([a, end, b, end])), (Some(false), None));
    assert_eq!(with(json!([a, end]), json!([a, end, end, b, end])), (Some(true), Some(313)));
    assert_eq!(with(json!([a]), json!([a, other, b])), (Some(false), None));
    assert_eq!(with(json!([a]), json!([b, end, a])), (None, None));
    assert_eq!(with(json!([a]), json!([])), (None, None));
    assert_eq!(with(json!([a]), json!("A")), (None, None));
}

#[test]
fn special_tokens_of_glm_are_found_by_name() {
    for name in ["[gMASK]", "<|user|>", "<|endoftext|>", "<|observation|>"] {
        let rename = |toy: &mut Toy| {
            for token in toy.tokenizer["added_tokens"].as_array_mut().unwrap() {
                if token["content"] == name {
                    token["content"] = "<renamed>".into();
                }
            }
            for (_, text) in toy.settings.as_object_mut().unwrap() {
                if *text == name {
                    *text = "<|assistant|>".into();
                }
            }
        };
        refused("glm4-moe", rename, &format!("no added token `{name}`, expected the special tokens of GLM"));
    }
    // What the configuration names stays.
    let mut toy = family("glm4-moe");
    toy.settings["bos_token"] = "<|assistant|>".into();
    toy.files.push(("generation_config.json", r#"{"bos_token_id": 1, "unk_token_id": 1}"#.to_owned()));
    let out = toy.read().unwrap();
    assert_eq!(out.u64(keys::TOKENIZER_BOS), Some(315));
    assert_eq!(out.u64("tokenizer.ggml.unknown_token_id"), Some(311));
}

#[test]
fn ids_may_be_in_the_section_of_the_text_model() {
    let mut toy = family("mistral3");
    toy.settings = json!({});
    let out = toy.read().unwrap();
    let ids = ["bos", "eos", "padding"].map(|role| out.u64(&format!("tokenizer.ggml.{role}_token_id")));
    assert_eq!(ids, [Some(312), Some(313), Some(311)]);
    toy.config["eos_token_id"] = 7.into();
    assert_eq!(toy.read().unwrap().u64(keys::TOKENIZER_EOS), Some(7));
    toy.config["text_config"]["pad_token_id"] = 320.into();
    toy.refused("`text_config.pad_token_id` is `320`, expected a token id below 320");
}

#[test]
fn tokens_that_look_special_are_control_tokens() {
    let mut toy = family("deepseek-v3");
    let texts = ["<｜fim▁hole｜>", "<pad>", "<unused7>", "<|code_prefix|>", "<think>", "/nothink"];
    for (token, text) in toy.tokenizer["added_tokens"].as_array_mut().unwrap()[3..].iter_mut().zip(texts) {
        token["content"] = text.into();
    }
    let out = toy.read().unwrap();
    let Some(Array::I32(types)) = out.array(keys::TOKENIZER_TOKEN_TYPE) else { panic!("types") };
    assert_eq!(types[314..], [3, 3, 3, 3, 4, 4]);
}

fn types(out: &Metadata) -> Vec<(String, i32)> {
    let Some(Array::I32(types)) = out.array(keys::TOKENIZER_TOKEN_TYPE) else { panic!("types") };
    let tokens = out.strings(keys::TOKENIZER_TOKENS).unwrap();
    assert_eq!(tokens.len(), types.len());
    tokens.iter().cloned().zip(types.iter().copied()).collect()
}

#[test]
fn the_embedding_of_gemma_may_have_more_rows_than_tokens() {
    let mut toy = family("gemma4");
    toy.rows = 352;
    let out = toy.read().unwrap();
    assert_eq!(out.strings(keys::TOKENIZER_TOKENS).unwrap().len(), 320);
    let Some(Array::F32(scores)) = out.array("tokenizer.ggml.scores") else { panic!("scores") };
    assert_eq!(scores.len(), 320);
    let mut filled = family("qwen3");
    filled.rows = 352;
    let out = filled.read().unwrap();
    assert_eq!(out.strings(keys::TOKENIZER_TOKENS).unwrap().len(), 352, "filled up with `[PADn]`");
    toy.rows = 319;
    toy.refused("with id 319, expected an id below 319");
    toy.rows = 352;
    toy.tokenizer["model"]["vocab"]["far"] = 340.into();
    toy.refused("no token with id 320, expected ids without gaps");
}

#[test]
fn tokens_of_gemma_get_the_types_of_llama_cpp() {
    let mut toy = family("gemma4");
    toy.rows = 352;
    let vocab = toy.tokenizer["model"]["vocab"].as_object_mut().unwrap();
    for (id, text) in
        (320..).zip(["<|tool_call>", "<|\"|>", "<|image|>", "<|turn>", "<|video|>", "<table>", "<0xff>"])
    {
        vocab.insert(text.to_owned(), id.into());
    }
    let added = toy.tokenizer["added_tokens"].as_array_mut().unwrap();
    for (id, text, special) in [
        (320, "<|tool_call>", true),
        (325, "<table>", false),
        (327, "<extra>", false),
        (328, "<secret>", true),
    ] {
        added.push(json!({"id": id, "content": text, "special": special}));
    }
    toy.settings["image_token"] = "<|image|>".into();
    toy.settings["model_specific_special_tokens"] = json!({"sot_token": {"content": "<|turn>"}});
    toy.settings["extra_special_tokens"] = json!(["<|video|>"]);
    toy.settings["add_bos_token"] = false.into();
    let out = toy.read().unwrap();
    let types = types(&out);
    assert_eq!(types[..5].iter().map(|(_, ty)| *ty).collect::<Vec<_>>(), [3, 3, 3, 3, 6]);
    let expected = [
        ("<|tool_call>", 4),
        ("<|\"|>", 4),
        ("<|image|>", 3),
        ("<|turn>", 3),
        ("<|video|>", 3),
        ("<table>", 1),
        ("<0xff>", 6),
        ("<extra>", 4),
        ("<secret>", 3),
    ];
    assert_eq!(types[320..], expected.map(|(text, ty)| (text.to_owned(), ty)));
    assert_eq!(out.bool(keys::TOKENIZER_ADD_BOS), Some(true), "llama.cpp takes false as true");
}

#[test]
fn other_tokenizers_of_gemma_are_refused() {
    let set = |pointer: &'static str, value: Json| {
        move |toy: &mut Toy| *toy.tokenizer.pointer_mut(pointer).unwrap() = value
    };
    let mut at_spaces = family("gemma4");
    let split = json!({"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": false});
    at_spaces.tokenizer["pre_tokenizer"] = split.clone();
    at_spaces.read().unwrap();
    let mut inverted = split;
    inverted["invert"] = true.into();
    let strip = json!({"type": "Strip", "content": " ", "start": 1, "stop": 0});
    for (pointer, value, words) in [
        ("/model/type", json!("Unigram"), "tokenizer model `Unigram`"),
        ("/model/byte_fallback", json!(false), "`model.byte_fallback` of false"),
        ("/model/ignore_merges", json!(true), "`model.ignore_merges` of true"),
        ("/model/dropout", json!(0.5), "`model.dropout`"),
        ("/model/merges", json!([]), "no merges"),
        ("/normalizer", Json::Null, "the normalizer `null`"),
        ("/normalizer/content", json!("_"), "the normalizer `{"),
        ("/pre_tokenizer", inverted, "the pre-tokenizer `{"),
        ("/pre_tokenizer", json!({"type": "ByteLevel"}), "the pre-tokenizer `{"),
        ("/decoder/decoders/2", strip, "the decoder `{"),
        ("/decoder/decoders/0/content", json!("_"), "the decoder `{"),
        ("/decoder", Json::Null, "the decoder `null`"),
    ] {
        refused("gemma4", set(pointer, value), words);
    }
    let no_byte = |toy: &mut Toy| {
        let vocab = toy.tokenizer["model"]["vocab"].as_object_mut().unwrap();
        let id = vocab.remove("<0x41>").unwrap();
        vocab.insert("<0x4x>".to_owned(), id);
    };
    refused("gemma4", no_byte, "no token `<0x41>`, expected a token for each byte");
    refused("qwen3", |toy| toy.family = Family::Gemma4, "Gemma 4 with `model.byte_fallback` of false");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn modified_files_of_gemma_are_read_or_refused(at in 0usize..6000, byte in 32u8..127, cut in 0usize..12_000) {
        let text = text(&folder("gemma4").join("tokenizer.json"));
        let mut bytes = text.into_bytes();
        let n = bytes.len();
        bytes[at % n] = byte;
        bytes.truncate(cut);
        if let Ok(text) = String::from_utf8(bytes)
            && let Ok(out) = super::tokenizer(Path::new("tokenizer.json"), &text, 400, Family::Gemma4)
        {
            prop_assert!(types(&out).len() <= 400);
        }
    }
}
