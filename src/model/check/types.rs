//! Refuses types that weights cannot have: llama.cpp has no matrix product for them and would call a null pointer.

use gguf_export::ggml::GgmlType;

use crate::model::{Header, LoadError};

/// Types of intermediate results and indices.
const NOT_WEIGHTS: [GgmlType; 7] = [
    GgmlType::Q8_1,
    GgmlType::Q8_K,
    GgmlType::I8,
    GgmlType::I16,
    GgmlType::I32,
    GgmlType::I64,
    GgmlType::F64,
];

pub(super) fn check(header: &Header) -> Result<(), LoadError> {
    match header.tensors.iter().find(|t| t.name.ends_with(".weight") && NOT_WEIGHTS.contains(&t.ty)) {
        None => Ok(()),
        Some(tensor) => Err(LoadError::Tensor {
            path: header.path.clone(),
            tensor: tensor.name.clone(),
            found: format!("type {}", tensor.ty),
            expected: "a weight type".to_owned(),
        }),
    }
}
