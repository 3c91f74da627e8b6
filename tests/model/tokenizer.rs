//! The tokenizer in the GGUF encodes every line like the `tokenizers` crate with the original files.

use std::path::Path;

use ggrun::engine::{Markup, Vocab};
use gguf_export::PlanOptions;
use tokenizers::Tokenizer;

use super::load;
use crate::support::{data, exported, tiny_gguf};

fn lines() -> Vec<String> {
    let text = std::fs::read_to_string(data("tokenizer-lines.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn compare(gguf: &Path, tokenizer: &Path) {
    let reference = Tokenizer::from_file(tokenizer).unwrap();
    let model = load(gguf);
    let vocab = model.vocab();
    let lines = lines();
    assert!(lines.len() >= 3000);
    for line in &lines {
        let expected = reference.encode(line.as_str(), false).unwrap();
        let expected: Vec<i32> = expected.get_ids().iter().map(|&id| i32::try_from(id).unwrap()).collect();
        let found: Vec<i32> = vocab.tokenize(line, Markup::Parsed).into_iter().map(|t| t.0).collect();
        assert_eq!(found, expected, "{line:?}");
    }
}

#[test]
fn the_bundled_tokenizer_encodes_like_the_original() {
    compare(&tiny_gguf(), &data("tiny-thinker/tokenizer.json"));
}

/// The full vocabulary on a small model, if the real tokenizer lies beside the checkout.
#[test]
fn the_tokenizer_of_qwen3_encodes_like_the_original() {
    let real = data("../../../shared/data/qwen3-tokenizer");
    if !real.join("tokenizer.json").exists() {
        println!("skipped: the full tokenizer is not beside this checkout");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let model = testkit::Model { vocab: 151_936, ..testkit::Model::tiny() };
    model.write(dir.path());
    for file in ["tokenizer.json", "tokenizer_config.json"] {
        std::fs::remove_file(dir.path().join(file)).unwrap();
        std::fs::copy(real.join(file), dir.path().join(file)).unwrap();
    }
    // The ids are those of the small tokenizer; the names in tokenizer_config.json apply.
    let config = dir.path().join("config.json");
    let mut json: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(&config).unwrap()).unwrap();
    for key in ["bos_token_id", "eos_token_id", "pad_token_id"] {
        json[key] = serde_json::Value::Null;
    }
    std::fs::write(&config, json.to_string()).unwrap();
    drop(std::fs::remove_file(dir.path().join("generation_config.json")));
    let gguf = exported(dir.path(), "qwen3-tokenizer", &PlanOptions::default());
    compare(&gguf, &real.join("tokenizer.json"));
    std::fs::remove_file(gguf).unwrap();
}
