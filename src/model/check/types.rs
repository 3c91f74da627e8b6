//! Types that weights can have: llama.cpp has products for these only, and jumps through a null pointer for others.

use gguf_export::ggml::GgmlType;

use crate::model::{Header, LoadError};

/// Types of intermediate results and indices, which no weight has.
const NEVER: [GgmlType; 7] = [
    GgmlType::Q8_1,
    GgmlType::Q8_K,
    GgmlType::I8,
    GgmlType::I16,
    GgmlType::I32,
    GgmlType::I64,
    GgmlType::F64,
];

pub(super) fn check(header: &Header) -> Result<(), LoadError> {
    match header.tensors.iter().find(|t| t.name.ends_with(".weight") && NEVER.contains(&t.ty)) {
        None => Ok(()),
        Some(tensor) => Err(LoadError::Tensor {
            path: header.path.clone(),
            tensor: tensor.name.clone(),
            found: format!("type {}", tensor.ty),
            expected: "a type of weights".to_owned(),
        }),
    }
}
