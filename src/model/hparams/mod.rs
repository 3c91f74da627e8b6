//! Hyperparameters, read from a model's metadata and accepted only within limits.
//!
//! The limits are those at which llama.cpp b11434 (`llama_model::load_hparams`, `llama-hparams.h`, and the operators of
//! its graphs) asserts, divides by zero or allocates without limit. Limits of single architectures are in `check`.

mod numbers;
mod read;
mod types;

pub use types::{HParams, Mla, Recurrent, Sliding};
