//! Converts quantized safetensors checkpoints to GGUF by copying integers instead of recomputing them.
//!
//! Most converters dequantize a checkpoint and quantize it again, which changes weights. This crate moves the integers
//! that the quantizer chose into GGUF blocks that decode to the same numbers. The plan states for every tensor whether
//! that is exact; tensors that no type holds exactly are refused unless the caller allows rounding. `verify` reads the
//! checkpoint and the GGUF again and compares every value.
//!
//! Four steps: open, survey, export, verify.
//!
//! ```no_run
//! use std::path::Path;
//! use std::sync::atomic::AtomicBool;
//!
//! use gguf_export::checkpoint::Checkpoint;
//! use gguf_export::verify::{VerifyOptions, verify};
//! use gguf_export::{ExportOptions, PlanOptions, Progress, export, survey};
//!
//! fn main() -> gguf_export::Result<()> {
//!     let stop = AtomicBool::new(false); // set it from another thread to end the work early
//!     let observer = |_: Progress<'_>| {}; // called with progress reports
//!     let out = Path::new("model.gguf");
//!
//!     // Headers and configuration, no weights.
//!     let checkpoint = Checkpoint::open(Path::new("Qwen3-Next-80B-A3B-int4-AutoRound"))?;
//!     // Type and source of every GGUF tensor. Weights are read only where the type depends on their values.
//!     let plan = survey(&checkpoint, &PlanOptions::default(), 4, &stop, &observer)?;
//!     let options = ExportOptions { threads: 4, ..ExportOptions::default() };
//!     export(&checkpoint, &plan, out, &options, &stop, &observer)?;
//!
//!     let options = VerifyOptions { threads: 4, ..VerifyOptions::default() };
//!     let report = verify(&checkpoint, out, options, &stop, &observer)?;
//!     assert!(report.equal(), "{:?}", report.differences);
//!     Ok(())
//! }
//! ```
//!
//! # Modules
//!
//! [`checkpoint`] reads safetensors files and configuration. [`quant`] defines how weights are stored, [`arch`] which
//! tensors a model family has; they are independent, and [`plan`] combines them. [`transcode`] converts one tile of a
//! plan, [`mod@export`] writes all tiles, and [`mod@verify`] compares the GGUF with the checkpoint by reference
//! decoders that share no code with `transcode`. [`gguf`] and [`ggml`] implement the target format, [`vocab`] converts
//! a tokenizer to metadata keys.
//!
//! # Limits
//!
//! The crate does not quantize, print, open connections or need llama.cpp. The same input gives the same bytes for
//! any number of threads. Memory use is bounded by the number of threads times a tile of a few megabytes, whatever
//! the size of the model.

#![forbid(unsafe_code)]

pub mod arch;
pub mod checkpoint;
pub mod error;
pub mod export;
pub mod format;
#[doc(hidden)]
pub mod fuzz;
pub mod ggml;
pub mod gguf;
pub mod io;
pub mod plan;
mod pool;
pub mod progress;
pub mod quant;
pub mod supply;
mod survey;
mod tile;
pub mod transcode;
pub mod verify;
pub mod vocab;

pub use error::{Error, Result, TensorRef, size};
pub use export::{ExportOptions, export};
pub use plan::{Plan, PlanOptions};
pub use progress::{Observer, Progress};
pub use survey::{Findings, survey, survey_supplied};
