//! Metadata that llama.cpp's converter wrote for `tests/golden/qwen3next`, dumped by
//! `tests/golden/make_llama_metadata.py`.

use super::{Array, Metadata, Value};

/// The folder with the model's configuration and tokenizer.
pub(crate) fn folder() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/qwen3next")
}

/// The entries whose keys start with `prefix`, in file order.
pub(crate) fn llama(prefix: &str) -> Metadata {
    let rows: Vec<(String, Vec<String>, serde_json::Value)> =
        serde_json::from_str(include_str!("../../tests/golden/qwen3next/llama.json")).unwrap();
    let mut out = Metadata::new();
    for (key, types, value) in rows.into_iter().filter(|(key, ..)| key.starts_with(prefix)) {
        let types: Vec<_> = types.iter().map(String::as_str).collect();
        out.push(key, read(&types, value));
    }
    out
}

#[expect(clippy::cast_possible_truncation, reason = "the dump widened f32 to f64")]
fn read(types: &[&str], v: serde_json::Value) -> Value {
    fn from<T: serde::de::DeserializeOwned>(v: serde_json::Value) -> T {
        serde_json::from_value(v).unwrap()
    }
    match types {
        ["STRING"] => Value::Str(from(v)),
        ["UINT32"] => Value::U32(from(v)),
        ["INT32"] => Value::I32(from(v)),
        ["FLOAT32"] => Value::F32(from::<f64>(v) as f32),
        ["BOOL"] => Value::Bool(from(v)),
        ["ARRAY", "STRING"] => Array::Str(from(v)).into(),
        ["ARRAY", "INT32"] => Array::I32(from(v)).into(),
        ["ARRAY", "BOOL"] => Array::Bool(from(v)).into(),
        other => panic!("{other:?}"),
    }
}
