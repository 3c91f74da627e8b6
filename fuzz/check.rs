//! The fuzz target `model_check`; a unit test of `src/model/check` runs it on the seeds.

use std::path::Path;

use gguf_export::gguf;

use super::{TensorCheck, check_parts};

/// Checks the header of a GGUF. Of a valid one, every tensor must have a type that llama.cpp computes with, and a name once.
/// Returns true if it is valid.
pub(crate) fn model_check(data: &[u8]) -> bool {
    let path = Path::new("model.gguf");
    let Ok(header) = gguf::Header::read(path, &data.to_vec()) else { return false };
    let parts = || vec![(path.to_owned(), header.clone())];
    drop(check_parts(path, parts(), &[], TensorCheck::Skip));
    let Ok(checked) = check_parts(path, parts(), &[], TensorCheck::All) else { return false };
    for tensor in &checked.tensors {
        assert!(
            !["I8", "I16", "I32", "I64", "F64", "Q8_1", "Q8_K"].contains(&tensor.ty.name()),
            "{tensor:?}"
        );
        let vector =
            tensor.name.contains("norm.") || tensor.name.contains(".bias") || tensor.name.ends_with("scale");
        assert!(!vector || tensor.ty.name() == "F32", "{tensor:?}");
    }
    true
}
