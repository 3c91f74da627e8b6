//! Transcodes quantised safetensors checkpoints into GGUF: codes travel, floats do not.

#![forbid(unsafe_code)]

pub mod arch;
pub mod checkpoint;
pub mod error;
pub mod ggml;
pub mod gguf;
pub mod io;
pub mod export;
pub mod plan;
mod pool;
pub mod progress;
pub mod quant;
mod survey;
mod tile;
pub mod transcode;
pub mod verify;
pub mod vocab;

pub use error::{Error, Result, TensorRef};
pub use export::{ExportOptions, export};
pub use plan::{Plan, PlanOptions};
pub use progress::{Observer, Progress};
pub use survey::survey;
