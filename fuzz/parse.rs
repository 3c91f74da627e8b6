//! The fuzz targets of `gguf-export`; `gguf-export/tests/corpus.rs` runs them on the seeds. Each returns true if the input
//! is valid.
//!
//! `cargo +nightly fuzz run gguf_header fuzz/corpus/gguf_header fuzz/seeds/gguf_header`

use std::path::Path;

use gguf_export::arch::HParams;
use gguf_export::checkpoint::{ModelConfig, parse_index, read_header};
use gguf_export::gguf::{Header, limits};
use gguf_export::quant::{Choices, QuantConfig, ZeroPoints};
use gguf_export::verify::Reading;
use gguf_export::vocab::{self, Family};

/// Rows of the embedding.
const VOCAB: u64 = 64;
/// The same for a tokenizer with a token for each byte.
const BYTES_VOCAB: u64 = 320;

/// Reads a safetensors header. All tensors must be within the file.
pub(crate) fn safetensors_header(data: &[u8]) -> bool {
    let read = read_header(Path::new("model.safetensors"), 0, &data.to_vec());
    for tensor in read.iter().flatten() {
        assert!(tensor.start + tensor.bytes <= data.len() as u64, "{tensor:?}");
        assert_eq!(tensor.shape.iter().product::<u64>() * tensor.dtype.bytes(), tensor.bytes);
    }
    read.is_ok()
}

/// Reads a GGUF header. An encoded header must read back equal.
pub(crate) fn gguf_header(data: &[u8]) -> bool {
    let path = Path::new("model.gguf");
    let read = Header::read(path, &data.to_vec());
    if let Ok(header) = &read {
        assert!(header.file_len() <= data.len().next_multiple_of(1 << 20) as u64 + (1 << 20));
        let mut again = header.encode();
        again.resize(data.len().max(again.len()), 0);
        let again = Header::read(path, &again).expect("an encoded header is valid");
        assert_eq!((again.data_offset, &again.tensors), (header.data_offset, &header.tensors));
    }
    read.is_ok()
}

/// Reads a `config.json` with its `quantization_config`, as the plan does and as the verification does. They must agree
/// about every module.
pub(crate) fn quant_config(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let Ok(config) = ModelConfig::parse(Path::new("config.json"), text) else { return false };
    let model = HParams::read(&config);
    for zero_points in [None, Some(ZeroPoints::V1), Some(ZeroPoints::V2)] {
        let choices = Choices { zero_points, ..Choices::default() };
        let (quant, reading) = (QuantConfig::read(&config, &choices), Reading::read(&config, &choices));
        if let (Ok(quant), Ok(reading)) = (&quant, &reading) {
            for module in MODULES {
                assert_eq!(quant.declared(module), reading.declared(module), "{module}: {text}");
            }
        }
        if zero_points.is_none() && (model.is_err() || quant.is_err()) {
            return false;
        }
    }
    true
}

/// Modules of every kind: within and outside the blocks, of the MTP layer, and with the names of the seeds.
const MODULES: [&str; 8] = [
    "lm_head",
    "model.layers.0.mlp.gate",
    "model.layers.1.self_attn.q_proj",
    "model.layers.0.mlp.experts.3.down_proj",
    "model.layers.0.mlp.shared_expert.up_proj",
    "model.layers.1.linear_attn.in_proj_ba",
    "mtp.layers.0.mlp.experts.1.up_proj",
    "aaaa",
];

/// Reads a `tokenizer.json`. Every row of the embedding must have a token, or the rest is cut.
pub(crate) fn tokenizer_json(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let read = |family, rows| {
        let read = vocab::tokenizer(Path::new("tokenizer.json"), text, rows, family);
        read.map(|keys| keys.strings("tokenizer.ggml.tokens").map(|tokens| tokens.len() as u64))
    };
    let byte_level = [Family::Plain, Family::Glm4, Family::MiniMaxM2].map(|family| read(family, VOCAB));
    for tokens in byte_level.iter().flatten() {
        assert_eq!(*tokens, Some(VOCAB));
    }
    let gemma = read(Family::Gemma4, BYTES_VOCAB);
    if let Ok(tokens) = &gemma {
        assert!(tokens.is_some_and(|tokens| tokens <= BYTES_VOCAB));
    }
    byte_level[0].is_ok() || gemma.is_ok()
}

/// Reads the index of a checkpoint.
pub(crate) fn index_json(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let read = parse_index(Path::new("model.safetensors.index.json"), text);
    for (tensor, file) in read.iter().flatten() {
        assert!(tensor.len() <= data.len() && file.len() <= data.len());
    }
    read.is_ok()
}

/// Reads the hyperparameters of a `config.json`. The keys of a GGUF must have the values that were read.
pub(crate) fn hyperparameters(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let Ok(config) = ModelConfig::parse(Path::new("config.json"), text) else { return false };
    let Ok(read) = HParams::read(&config) else { return false };
    assert!((1..=limits::CONTEXT).contains(&read.context) && read.hidden <= limits::WIDTH);
    assert!(read.layers.len() as u64 <= limits::LAYERS);
    let keys = read.metadata(0);
    let number = |name: &str| keys.u64(&format!("{}.{name}", read.family().gguf));
    assert_eq!(number("context_length"), Some(read.context));
    if let Some(experts) = read.experts {
        assert!(experts.used <= experts.count);
        assert_eq!(number("expert_count"), Some(experts.count));
    }
    if let Some(delta) = read.delta {
        assert!(delta.values() <= limits::WIDTH);
        assert_eq!(number("ssm.inner_size"), Some(delta.values()));
    }
    true
}

/// The first line of the journals among the seeds.
const IDENTITY: &str = "gguf-export 1 0123456789abcdef\n";

/// Reads the journal of an export with 64 tiles.
pub(crate) fn export_journal(data: &[u8]) -> bool {
    std::str::from_utf8(data).is_ok_and(|text| gguf_export::fuzz::journal(text, IDENTITY, 64))
}

/// Reads the findings of a survey of 64 tensors.
pub(crate) fn survey_findings(data: &[u8]) -> bool {
    std::str::from_utf8(data).is_ok_and(|text| gguf_export::fuzz::findings(text, 64))
}
