//! The smallest file of each architecture: seeds of the fuzz target `model_check`.

use std::path::Path;

use gguf_export::ggml::GgmlType;
use gguf_export::gguf::{self, Array, Metadata, Value};

use super::super::slot::{Table, When};
use super::super::tables::{has, places};
use super::TABLES;
use crate::model::HParams;
use crate::model::tiny::joined;

/// Keys of all architectures; each reads its own.
const NUMBERS: [(&str, u32); 32] = [
    ("block_count", 2),
    ("context_length", 64),
    ("embedding_length", 4),
    ("feed_forward_length", 4),
    ("attention.head_count", 2),
    ("attention.head_count_kv", 1),
    ("attention.key_length", 2),
    ("attention.value_length", 2),
    ("rope.dimension_count", 2),
    ("full_attention_interval", 2),
    ("ssm.conv_kernel", 2),
    ("ssm.state_size", 2),
    ("ssm.group_count", 1),
    ("ssm.time_step_rank", 2),
    ("ssm.inner_size", 4),
    ("expert_count", 2),
    ("expert_used_count", 1),
    ("expert_feed_forward_length", 2),
    ("expert_shared_feed_forward_length", 2),
    ("expert_shared_count", 1),
    ("expert_gating_func", 2),
    ("leading_dense_block_count", 1),
    ("attention.q_lora_rank", 2),
    ("attention.kv_lora_rank", 2),
    ("attention.key_length_mla", 4),
    ("attention.value_length_mla", 2),
    ("attention.sliding_window", 4),
    ("attention.key_length_swa", 2),
    ("attention.value_length_swa", 2),
    ("rope.dimension_count_swa", 2),
    ("attention.shared_kv_layers", 0),
    ("embedding_length_per_layer_input", 2),
];

/// The keys of an architecture, without a tokenizer.
pub(super) fn metadata(name: &str) -> Metadata {
    let mut metadata = Metadata::new();
    metadata.push("general.architecture", Value::Str(name.to_owned()));
    let dense = ["qwen3", "qwen35", "llama", "mistral3"].contains(&name);
    let latent = name == "deepseek2";
    let delta = ["qwen3next", "qwen35", "qwen35moe"].contains(&name);
    let leading = latent || name == "glm4moe";
    for (key, number) in NUMBERS {
        let is_read = match key {
            _ if key.contains("expert") => !dense,
            "leading_dense_block_count" => leading,
            _ if key.contains("lora") || key.ends_with("_mla") => latent,
            _ if key.starts_with("ssm") || key.starts_with("full") => delta,
            _ if key.contains("_swa") || key.contains("shared_kv") || key.contains("per_layer") => {
                name == "gemma4"
            }
            "attention.sliding_window" => ["gemma4", "gpt-oss"].contains(&name),
            _ => true,
        };
        // A key is compressed and rotated values.
        let number = if latent && key == "attention.key_length" { 4 } else { number };
        if is_read {
            metadata.push(format!("{name}.{key}"), Value::U32(number));
        }
    }
    metadata.push(format!("{name}.attention.layer_norm_rms_epsilon"), Value::F32(1e-6));
    if name.starts_with("qwen35") {
        metadata.push(format!("{name}.rope.dimension_sections"), Value::Array(Array::I32(vec![1, 0, 0, 0])));
    }
    if name == "gemma4" {
        let slides = Value::Array(Array::Bool(vec![true, false]));
        metadata.push("gemma4.attention.sliding_window_pattern", slides);
    }
    metadata
}

/// A header with the tensors that must be there; `None` if there is none with these keys.
pub(super) fn header(table: &Table, metadata: Metadata) -> Option<gguf::Header> {
    let empty = gguf::Header::layout(metadata.clone(), Vec::new()).ok()?;
    let hparams = HParams::read(&joined(empty)).ok()?;
    let mut tensors = Vec::new();
    for layer in places(hparams.layers) {
        let parts = table.parts.iter().filter(|part| has(&hparams, layer, part.of));
        for slot in parts.flat_map(|part| part.slots) {
            if matches!(slot.when, When::Always | When::Unless(_)) {
                let dims = slot.dims.iter().map(|size| size.of(&hparams, layer.unwrap_or(0)));
                tensors.push((slot.name_in(layer), dims.collect::<Vec<u64>>(), GgmlType::F32));
            }
        }
    }
    gguf::Header::layout(metadata, tensors).ok()
}

/// The smallest file of an architecture.
fn seed(table: &Table) -> Vec<u8> {
    let mut metadata = metadata(table.name);
    metadata.push("tokenizer.ggml.model", Value::Str("gpt2".to_owned()));
    metadata.push("tokenizer.ggml.tokens", Value::Array(Array::Str(vec!["a".to_owned(), "b".to_owned()])));
    let header = header(table, metadata).unwrap();
    let mut bytes = header.encode();
    bytes.resize(usize::try_from(header.file_len()).unwrap(), 0);
    bytes
}

/// Set `GGRUN_WRITE_SEEDS` to write them after a change of a table.
#[test]
fn the_seeds_of_the_fuzz_target_are_made_of_the_tables() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/model_check");
    for table in TABLES {
        let (bytes, path) = (seed(table), folder.join(table.name));
        assert!(bytes.len() < 8192, "{}: {} bytes", table.name, bytes.len());
        if std::env::var_os("GGRUN_WRITE_SEEDS").is_some() {
            std::fs::write(&path, &bytes).unwrap();
        }
        assert!(std::fs::read(&path).is_ok_and(|found| found == bytes), "{}", table.name);
    }
}
