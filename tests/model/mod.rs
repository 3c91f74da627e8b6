//! Our GGUFs in llama.cpp, compared with the tools that made the checkpoints.

#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod answers;
mod families;
mod formats;
mod kernels;
mod logits;
mod pages;
mod quality;
mod reuse;
mod stream;
mod threads;
mod tokenizer;

use std::path::Path;

use ggrun::model::{LoadOptions, Model};

/// A model on one thread, because tests run in parallel.
fn load(gguf: &Path) -> Model {
    Model::load(LoadOptions { threads: 1, ..LoadOptions::new(gguf) }, |_| true).unwrap()
}
