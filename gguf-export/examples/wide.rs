//! Writes a checkpoint with the tensors and widths of a published model in AutoRound's int4, but fewer layers and tokens,
//! and with random weights: to measure conversions. Without arguments, lists the models.
//!
//! ```text
//! cargo run --release -p gguf-export --example wide -- OUT MODEL LAYERS VOCABULARY
//! ```
#![expect(clippy::print_stdout, reason = "an example prints its results")]
#![expect(clippy::unwrap_used, reason = "a generator fails where it unwraps")]
#![allow(clippy::disallowed_methods, reason = "it writes a checkpoint beside the library")]

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use testkit::generated;

#[path = "../tests/published/models.rs"]
#[allow(dead_code, reason = "the tests use all of it")]
mod models;
#[path = "../tests/published/tensors.rs"]
#[allow(dead_code, reason = "the tests use all of it")]
mod tensors;

use models::Published;
use tensors::{Form, Tensors};

const SHARD: u64 = 2 << 30;
const SEED: u64 = 1;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let models = models::published();
    let [out, name, layers, vocabulary] = &args[..] else {
        println!("usage: wide OUT MODEL LAYERS VOCABULARY");
        for model in &models {
            println!("{}", model.name);
        }
        return;
    };
    let model = models.into_iter().find(|model| model.name == name).expect("the name of a model in the list");
    write(Path::new(out), &model, layers.parse().unwrap(), vocabulary.parse().unwrap());
}

pub(crate) fn merged(base: &Value, changes: &Value) -> Value {
    let mut all: Map<String, Value> = base.as_object().unwrap().clone();
    all.extend(changes.as_object().unwrap().clone());
    Value::Object(all)
}

fn write(out: &Path, model: &Published, layers: usize, vocabulary: usize) {
    let data = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/data/families");
    let from = data.join(format!("{}-int4", model.family));
    let text = std::fs::read_to_string(from.join("config.json")).unwrap();
    let mut config: Value = serde_json::from_str(&text).unwrap();
    // The modules that it names are of the tiny model.
    config["quantization_config"].as_object_mut().unwrap().remove("extra_config");
    let is_wrapped = config["text_config"].is_object();
    let section = if is_wrapped { &mut config["text_config"] } else { &mut config };
    *section = merged(section, &model.changes);
    section["num_hidden_layers"] = layers.into();
    section["vocab_size"] = vocabulary.into();
    if let Some(types) = section.get_mut("layer_types").and_then(Value::as_array_mut) {
        types.truncate(layers);
    }
    let mut tensors = Tensors::new(section, Form::Int4);
    (model.tensors)(&mut tensors);
    let list = tensors.list;
    if let Some(tied) = model.changes.get("tie_word_embeddings") {
        config["tie_word_embeddings"] = tied.clone();
    }

    std::fs::create_dir_all(out).unwrap();
    std::fs::write(out.join("config.json"), json!(config).to_string()).unwrap();
    for name in ["tokenizer.json", "tokenizer_config.json"] {
        std::fs::copy(from.join(name), out.join(name)).unwrap();
    }
    let bytes: u64 = list.iter().map(testkit::header_only::Outline::len).sum();
    let shards = usize::try_from(bytes.div_ceil(SHARD)).unwrap();
    println!("{} tensors, {bytes} bytes in {shards} shards", list.len());
    generated::write_int4(out, list, shards, SEED);
}
