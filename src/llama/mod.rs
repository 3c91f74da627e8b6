//! llama.cpp behind the engine's traits. The only module that names the binding.
//!
//! llama.cpp ends the process where it finds a broken promise, so what it is given is checked here first:
//! token numbers, positions, batch sizes, logits that are not numbers. Files are checked in `model`.

mod backend;
mod decoder;
mod log;
mod sampler;
mod vocab;
mod weights;

pub use decoder::{CacheType, ContextParams, LlamaDecoder};
pub use vocab::LlamaVocab;
pub use weights::{LoadFailure, LoadParams, Weights};
