//! Transcodes quantised safetensors checkpoints into GGUF: codes travel, floats do not.

#![forbid(unsafe_code)]

pub mod arch;
pub mod checkpoint;
pub mod error;
pub mod ggml;
pub mod gguf;
pub mod io;
pub mod progress;
pub mod quant;
pub mod vocab;

pub use error::{Error, Result, TensorRef};
pub use progress::{Observer, Progress};
