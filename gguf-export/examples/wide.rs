//! Writes a checkpoint with the tensors and widths of a published model in AutoRound's int4, but fewer layers and tokens,
//! and with random weights: to measure conversions. Without arguments, lists the models.
//!
//! ```text
//! cargo run --release -p gguf-export --example wide -- OUT MODEL LAYERS VOCABULARY
//! ```
#![expect(clippy::print_stdout, reason = "an example prints its results")]
#![expect(clippy::unwrap_used, reason = "a generator fails where it unwraps")]
#![allow(clippy::disallowed_methods, reason = "it writes a checkpoint beside the library")]

use std::path::Path;

use serde_json::{Value, json};
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

fn write(out: &Path, model: &Published, layers: usize, vocabulary: usize) {
    let mut changes =
        models::merged(&model.changes, &json!({"num_hidden_layers": layers, "vocab_size": vocabulary}));
    if let Some(types) = changes.get_mut("layer_types").and_then(Value::as_array_mut) {
        types.truncate(layers);
    }
    std::fs::create_dir_all(out).unwrap();
    let text = models::write_config(out, model.family, &changes, Form::Int4);
    let mut tensors = Tensors::new(&text, Form::Int4);
    (model.tensors)(&mut tensors);
    let list = tensors.list;
    let bytes: u64 = list.iter().map(testkit::header_only::Outline::len).sum();
    let shards = usize::try_from(bytes.div_ceil(SHARD)).unwrap();
    println!("{} tensors, {bytes} bytes in {shards} shards", list.len());
    generated::write_int4(out, list, shards, SEED);
}
