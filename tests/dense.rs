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
    let header = dense_header(64, &[], &|_| GgmlType::F32);
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

/// A dense model whose weights are zero, with more tensors and other types.
pub(crate) fn zeros(more: &[(&str, u64)], ty: &dyn Fn(&str) -> GgmlType) -> Vec<u8> {
    // Rows of the K-quants' blocks.
    let header = dense_header(256, more, ty);
    let mut bytes = header.encode();
    bytes.resize(usize::try_from(header.file_len()).expect("the file is small"), 0);
    bytes
}

/// The header of a dense model of two layers, with some one-dimensional tensors besides.
fn dense_header(width: u64, more: &[(&str, u64)], ty: &dyn Fn(&str) -> GgmlType) -> Header {
    let tiny = gguf::open_all(&tiny_gguf()).expect("the bundled model opens").remove(0).1.metadata;
    let vocab =
        tiny.strings("tokenizer.ggml.tokens").expect("the bundled model has a vocabulary").len() as u64;
    let mut metadata = Metadata::new();
    metadata.push("general.architecture", Value::Str("llama".to_owned()));
    let small = |number: u64| u32::try_from(number).expect("a small number");
    for (key, number) in [
        ("block_count", 2),
        ("context_length", 2048),
        ("embedding_length", small(width)),
        ("feed_forward_length", small(2 * width)),
        ("attention.head_count", 4),
        ("attention.head_count_kv", 2),
        ("rope.dimension_count", small(width / 4)),
    ] {
        metadata.push(format!("llama.{key}"), Value::U32(number));
    }
    metadata.push("llama.attention.layer_norm_rms_epsilon", Value::F32(1e-6));
    for (key, value) in tiny.iter().filter(|(key, _)| key.starts_with("tokenizer.")) {
        metadata.push(key, value.clone());
    }
    let mut shapes = vec![
        ("token_embd.weight".to_owned(), vec![width, vocab]),
        ("output_norm.weight".to_owned(), vec![width]),
    ];
    for layer in 0..2 {
        for (name, shape) in [
            ("attn_norm", vec![width]),
            ("attn_q", vec![width, width]),
            ("attn_k", vec![width, width / 2]),
            ("attn_v", vec![width, width / 2]),
            ("attn_output", vec![width, width]),
            ("ffn_norm", vec![width]),
            ("ffn_gate", vec![width, 2 * width]),
            ("ffn_up", vec![width, 2 * width]),
            ("ffn_down", vec![2 * width, width]),
        ] {
            shapes.push((format!("blk.{layer}.{name}.weight"), shape));
        }
    }
    shapes.extend(more.iter().map(|(name, count)| ((*name).to_owned(), vec![*count])));
    let tensors = shapes.into_iter().map(|(name, shape)| {
        let ty = ty(&name);
        (name, shape, ty)
    });
    Header::layout(metadata, tensors.collect()).expect("the tensors have a layout")
}
