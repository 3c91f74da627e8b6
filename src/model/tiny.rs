//! Tiny models of every family for unit tests: the keys and shapes that llama.cpp's converter writes, with random weights.

use std::path::{Path, PathBuf};

use gguf_export::ggml::GgmlType;
use gguf_export::gguf::{self, Array, Metadata, Value};
use serde_json::Value as Json;
use testkit::family::folder;
use testkit::rng::Rng;

use super::Header;

/// The header of a family's file.
pub(super) fn header(family: &str) -> gguf::Header {
    let found = read(family, "llama.json");
    let tokenizer = read(family, "tokenizer.json");
    let mut metadata = Metadata::new();
    for (key, typed) in found["keys"].as_object().unwrap() {
        metadata.push(key.as_str(), value(key, &typed[0], &typed[1], &tokenizer));
    }
    let tensors = found["tensors"].as_object().unwrap().iter().map(|(name, typed)| {
        assert_eq!(typed[0], "F32", "{name}");
        (name.clone(), numbers(&typed[1], Json::as_u64), GgmlType::F32)
    });
    gguf::Header::layout(metadata, tensors.collect()).unwrap()
}

/// The same as it is checked.
pub(super) fn joined(header: gguf::Header) -> Header {
    Header::join(Path::new("model.gguf"), vec![("model.gguf".into(), header)])
}

/// Writes a file with random weights in F32, and zero in other types, to a folder.
pub(super) fn write(header: &gguf::Header, folder: &Path) -> PathBuf {
    let mut random = Rng::named(11, "tiny families");
    let mut bytes = header.encode();
    for tensor in &header.tensors {
        bytes.resize(usize::try_from(header.data_offset + tensor.offset).unwrap(), 0);
        // Bytes of zero are a valid block of every type.
        let values = if tensor.ty == GgmlType::F32 { tensor.elements() } else { 0 };
        for _ in 0..values {
            let [low, high, ..] = random.bits().to_le_bytes();
            let noise = f32::from(i16::from_le_bytes([low, high])) / 65536.0;
            let value = match tensor.name.as_str() {
                "rope_freqs.weight" => 1.0,
                name if name.ends_with("ssm_a") => -1.0 + noise,
                name if name.contains("norm") || name.ends_with("scale") => 1.0 + noise,
                _ => noise / 4.0,
            };
            bytes.extend(value.to_le_bytes());
        }
    }
    bytes.resize(usize::try_from(header.file_len()).unwrap(), 0);
    let path = folder.join("model.gguf");
    std::fs::write(&path, bytes).unwrap();
    path
}

fn read(family: &str, file: &str) -> Json {
    let path = folder(family).join(file);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn numbers<T>(list: &Json, each: impl Fn(&Json) -> Option<T>) -> Vec<T> {
    list.as_array().unwrap().iter().map(|number| each(number).unwrap()).collect()
}

#[expect(clippy::cast_possible_truncation, reason = "the file has them as text of an f32")]
fn value(key: &str, ty: &Json, value: &Json, tokenizer: &Json) -> Value {
    let small = |value: &Json| value.as_u64().and_then(|n| u32::try_from(n).ok());
    let int = |value: &Json| value.as_i64().and_then(|n| i32::try_from(n).ok());
    match ty.as_str().unwrap() {
        "STRING" => Value::Str(value.as_str().unwrap().to_owned()),
        "UINT32" => Value::U32(small(value).unwrap()),
        "INT32" => Value::I32(int(value).unwrap()),
        "FLOAT32" => Value::F32(value.as_f64().unwrap() as f32),
        "BOOL" => Value::Bool(value.as_bool().unwrap()),
        "[INT32]" if value.is_array() => Value::Array(Array::I32(numbers(value, int))),
        "[UINT32]" if value.is_array() => Value::Array(Array::U32(numbers(value, small))),
        "[BOOL]" if value.is_array() => Value::Array(Array::Bool(numbers(value, Json::as_bool))),
        _ => tokens(key, usize::try_from(value["count"].as_u64().unwrap()).unwrap(), tokenizer),
    }
}

/// The lists of a tokenizer, of which the file has only lengths and hashes.
fn tokens(key: &str, count: usize, tokenizer: &Json) -> Value {
    let model = &tokenizer["model"];
    let added = tokenizer["added_tokens"].as_array().unwrap();
    let special = |id: usize| added.iter().any(|token| token["id"] == id);
    Value::Array(match key {
        "tokenizer.ggml.tokens" => {
            let mut tokens = vec![String::new(); count];
            for (token, id) in model["vocab"].as_object().unwrap() {
                tokens[usize::try_from(id.as_u64().unwrap()).unwrap()].clone_from(token);
            }
            for token in added {
                let id = usize::try_from(token["id"].as_u64().unwrap()).unwrap();
                token["content"].as_str().unwrap().clone_into(&mut tokens[id]);
            }
            Array::Str(tokens)
        }
        "tokenizer.ggml.token_type" => {
            Array::I32((0..count).map(|id| if special(id) { 3 } else { 1 }).collect())
        }
        "tokenizer.ggml.scores" => Array::F32(vec![0.0; count]),
        "tokenizer.ggml.merges" => Array::Str(numbers(&model["merges"], |pair| {
            Some(format!("{} {}", pair[0].as_str()?, pair[1].as_str()?))
        })),
        other => panic!("no list {other}"),
    })
}
