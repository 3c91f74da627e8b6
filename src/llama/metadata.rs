//! Metadata values that override those of the file.

use std::ffi::c_char;

use llama_cpp_sys_2 as sys;

/// Bytes of a key or of a text, without the zero at its end.
pub const LONGEST: usize = 127;

/// A metadata value that overrides the one in the file.
#[derive(Debug, Clone, PartialEq)]
pub struct MetadataOverride {
    /// The key, at most [`LONGEST`] bytes.
    pub key: String,
    /// The value.
    pub value: MetadataValue,
}

/// A value of one of the kinds that can be overridden.
#[derive(Debug, Clone, PartialEq)]
pub enum MetadataValue {
    /// A whole number.
    Int(i64),
    /// A floating-point number.
    Float(f64),
    /// A boolean.
    Bool(bool),
    /// A text, at most [`LONGEST`] bytes.
    Str(String),
}

impl MetadataValue {
    /// The name of its kind in `--override-kv`, in llama.cpp and here.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Int(_) => "int",
            Self::Float(_) => "float",
            Self::Bool(_) => "bool",
            Self::Str(_) => "str",
        }
    }
}

impl std::fmt::Display for MetadataValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Int(number) => write!(f, "{number}"),
            Self::Float(number) => write!(f, "{number}"),
            Self::Bool(truth) => write!(f, "{truth}"),
            Self::Str(text) => f.write_str(text),
        }
    }
}

/// llama.cpp's list, which ends with an empty key; `None` if a text does not fit.
pub(super) fn raw(overrides: &[MetadataOverride]) -> Option<Vec<sys::llama_model_kv_override>> {
    let mut list = Vec::new();
    for MetadataOverride { key, value } in overrides {
        let key = text(key).filter(|key| key[0] != 0)?;
        let (tag, value) = match value {
            MetadataValue::Int(number) => (
                sys::LLAMA_KV_OVERRIDE_TYPE_INT,
                sys::llama_model_kv_override__bindgen_ty_1 { val_i64: *number },
            ),
            MetadataValue::Float(number) => (
                sys::LLAMA_KV_OVERRIDE_TYPE_FLOAT,
                sys::llama_model_kv_override__bindgen_ty_1 { val_f64: *number },
            ),
            MetadataValue::Bool(truth) => (
                sys::LLAMA_KV_OVERRIDE_TYPE_BOOL,
                sys::llama_model_kv_override__bindgen_ty_1 { val_bool: *truth },
            ),
            MetadataValue::Str(value) => (
                sys::LLAMA_KV_OVERRIDE_TYPE_STR,
                sys::llama_model_kv_override__bindgen_ty_1 { val_str: text(value)? },
            ),
        };
        list.push(sys::llama_model_kv_override { tag, key, __bindgen_anon_1: value });
    }
    let end = sys::llama_model_kv_override__bindgen_ty_1 { val_i64: 0 };
    let tag = sys::LLAMA_KV_OVERRIDE_TYPE_INT;
    list.push(sys::llama_model_kv_override { tag, key: [0; 128], __bindgen_anon_1: end });
    Some(list)
}

/// A text with a zero at its end.
fn text(text: &str) -> Option<[c_char; 128]> {
    if text.len() > LONGEST || text.contains('\0') {
        return None;
    }
    let mut bytes = [0; 128];
    for (to, from) in bytes.iter_mut().zip(text.bytes()) {
        *to = c_char::from_ne_bytes([from]);
    }
    Some(bytes)
}
