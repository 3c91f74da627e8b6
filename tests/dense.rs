//! A dense transformer without recurrent layers; the bundled model is hybrid.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use gguf_export::ggml::GgmlType;
use gguf_export::gguf::{self, Header, Metadata, Value};

use crate::support::tiny_gguf;

/// A dense model with random weights and the bundled model's tokenizer. Its KV cache can be truncated anywhere.
pub(crate) fn dense_gguf() -> PathBuf {
    static GGUF: OnceLock<PathBuf> = OnceLock::new();
    GGUF.get_or_init(make_dense).clone()
}

fn make_dense() -> PathBuf {
    let tiny = gguf::open_all(&tiny_gguf()).expect("the bundled model opens").remove(0).1.metadata;
    let vocab =
        tiny.strings("tokenizer.ggml.tokens").expect("the bundled model has a vocabulary").len() as u64;
    let mut metadata = Metadata::new();
    metadata.push("general.architecture", Value::Str("llama".to_owned()));
    for (key, number) in [
        ("block_count", 2),
        ("context_length", 2048),
        ("embedding_length", 64),
        ("feed_forward_length", 128),
        ("attention.head_count", 4),
        ("attention.head_count_kv", 2),
        ("rope.dimension_count", 16),
    ] {
        metadata.push(format!("llama.{key}"), Value::U32(number));
    }
    metadata.push("llama.attention.layer_norm_rms_epsilon", Value::F32(1e-6));
    for (key, value) in tiny.iter().filter(|(key, _)| key.starts_with("tokenizer.")) {
        metadata.push(key, value.clone());
    }
    let mut shapes =
        vec![("token_embd.weight".to_owned(), vec![64, vocab]), ("output_norm.weight".to_owned(), vec![64])];
    for layer in 0..2 {
        for (name, shape) in [
            ("attn_norm", vec![64]),
            ("attn_q", vec![64, 64]),
            ("attn_k", vec![64, 32]),
            ("attn_v", vec![64, 32]),
            ("attn_output", vec![64, 64]),
            ("ffn_norm", vec![64]),
            ("ffn_gate", vec![64, 128]),
            ("ffn_up", vec![64, 128]),
            ("ffn_down", vec![128, 64]),
        ] {
            shapes.push((format!("blk.{layer}.{name}.weight"), shape));
        }
    }
    let tensors = shapes.into_iter().map(|(name, shape)| (name, shape, GgmlType::F32)).collect();
    let header = Header::layout(metadata, tensors).expect("the tensors have a layout");
    let mut bytes = header.encode();
    let mut noise = 1_u64;
    for tensor in &header.tensors {
        let start = usize::try_from(header.data_offset + tensor.offset).expect("the file is small");
        bytes.resize(start, 0);
        for _ in 0..tensor.elements() {
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let value = f32::from(i16::from_le_bytes([noise.to_le_bytes()[6], noise.to_le_bytes()[7]]));
            bytes.extend((value / 131_072.0).to_le_bytes());
        }
    }
    bytes.resize(usize::try_from(header.file_len()).expect("the file is small"), 0);
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("dense-{}.gguf", std::process::id()));
    std::fs::write(&out, bytes).expect("the folder is writable");
    out
}
