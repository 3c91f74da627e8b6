//! Metadata values of the caller that override those of the file, as in llama.cpp.

use gguf_export::gguf::Value;

use crate::llama::{MetadataOverride, MetadataValue};
use crate::model::error::LoadError;
use crate::model::header::Header;

/// Keys for which llama.cpp ignores overrides.
const FIXED: [&str; 2] = ["general.architecture", "tokenizer.chat_template"];

/// Overrides values of the file. As in llama.cpp, the first override of a key counts.
pub(super) fn apply(header: &mut Header, overrides: &[MetadataOverride]) -> Result<(), LoadError> {
    for MetadataOverride { key, value } in overrides {
        if FIXED.contains(&key.as_str()) {
            return Err(header.wrong(key, "overridden", "the value of the file"));
        }
        let put = match (header.metadata.get(key), value) {
            (None | Some(Value::F32(_) | Value::F64(_)), MetadataValue::Float(number)) => float(*number),
            (None | Some(Value::Bool(_)), MetadataValue::Bool(truth)) => Value::Bool(*truth),
            (None | Some(Value::Str(_)), MetadataValue::Str(text)) => Value::Str(text.clone()),
            (None, MetadataValue::Int(number)) => int(*number),
            (Some(found), MetadataValue::Int(number)) if is_int(found) => int(*number),
            (Some(found), _) => {
                let expected = format!("a value of the file's type, {}", found.type_name());
                return Err(header.wrong(key, format!("overridden by {} {value}", value.kind()), expected));
            }
        };
        if header.metadata.get(key).is_none() {
            tracing::warn!(key, "the file has no such key; the override counts only if llama.cpp reads it");
        }
        header.metadata.set(key, put);
    }
    Ok(())
}

/// The value in the form that llama.cpp stores.
#[expect(clippy::cast_possible_truncation, reason = "llama.cpp keeps f32")]
fn float(number: f64) -> Value {
    Value::F32(number as f32)
}

fn int(number: i64) -> Value {
    u64::try_from(number).map_or(Value::I64(number), Value::U64)
}

fn is_int(value: &Value) -> bool {
    value.as_u64().is_some() || matches!(value, Value::I8(_) | Value::I16(_) | Value::I32(_) | Value::I64(_))
}

#[cfg(test)]
mod tests {
    use super::*;
    use gguf_export::gguf::Metadata;

    fn header() -> Header {
        let mut metadata = Metadata::new();
        metadata.push("a.count", Value::U32(4));
        metadata.push("a.base", Value::F32(1e4));
        metadata.push("a.truth", Value::Bool(true));
        metadata.push("a.name", Value::Str("x".into()));
        Header { path: "m.gguf".into(), files: Vec::new(), file_bytes: 0, metadata, tensors: Vec::new() }
    }

    fn over(key: &str, value: MetadataValue) -> MetadataOverride {
        MetadataOverride { key: key.into(), value }
    }

    #[test]
    fn a_value_of_the_same_kind_takes_the_place_of_the_files() {
        let mut header = header();
        let overrides = [
            over("a.count", MetadataValue::Int(8)),
            over("a.base", MetadataValue::Float(2e4)),
            over("a.truth", MetadataValue::Bool(false)),
            over("a.name", MetadataValue::Str("y".into())),
            over("a.new", MetadataValue::Int(-1)),
        ];
        apply(&mut header, &overrides).unwrap();
        let get = |key| header.metadata.get(key).unwrap();
        assert_eq!((get("a.count"), get("a.base")), (&Value::U64(8), &Value::F32(2e4)));
        assert_eq!((get("a.truth"), get("a.name")), (&Value::Bool(false), &Value::Str("y".into())));
        assert_eq!(get("a.new"), &Value::I64(-1));
    }

    #[test]
    fn what_llama_cpp_would_ignore_is_refused() {
        for (key, value) in [
            ("a.count", MetadataValue::Float(8.0)),
            ("a.base", MetadataValue::Int(8)),
            ("a.truth", MetadataValue::Str("false".into())),
            ("a.name", MetadataValue::Bool(false)),
            ("general.architecture", MetadataValue::Str("llama".into())),
            ("tokenizer.chat_template", MetadataValue::Str("x".into())),
        ] {
            let error = apply(&mut header(), &[over(key, value)]).unwrap_err();
            assert!(error.to_string().contains(key), "{error}");
        }
    }
}
