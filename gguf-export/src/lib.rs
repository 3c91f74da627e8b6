//! Transcodes quantised safetensors checkpoints into GGUF: codes travel, floats do not.
//!
//! A converter usually dequantises a checkpoint and quantises it anew, which changes weights. This one moves the
//! integers that the quantiser chose into GGUF blocks that mean the same numbers, says for every tensor whether that
//! is exact, refuses what it is not unless told to round, and proves the result by reading both ends again.
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
//!     let observer = |_: Progress<'_>| {}; // hears what happens
//!     let out = Path::new("model.gguf");
//!
//!     // Headers and configuration, no weights.
//!     let checkpoint = Checkpoint::open(Path::new("Qwen3-Next-80B-A3B-int4-AutoRound"))?;
//!     // What every tensor becomes. Weights are read only where their values decide.
//!     let plan = survey(&checkpoint, &PlanOptions::default(), 4, &stop, &observer)?;
//!     let options = ExportOptions { threads: 4, ..ExportOptions::default() };
//!     export(&checkpoint, &plan, out, &options, &stop, &observer)?;
//!
//!     let options = VerifyOptions { threads: 4, allow_rounding: false };
//!     let report = verify(&checkpoint, out, options, &stop, &observer)?;
//!     assert!(report.equal(), "{:?}", report.differences);
//!     Ok(())
//! }
//! ```
//!
//! # Where things are
//!
//! [`checkpoint`] reads what is on disk. [`quant`] knows how weights are stored and [`arch`] what a model family
//! consists of; neither knows the other, and they meet in [`plan`]. [`transcode`] makes one tile of a plan,
//! [`mod@export`] writes all of them, and [`mod@verify`] compares both ends by decoders that share nothing with it.
//! [`gguf`] and [`ggml`] are the target format, [`vocab`] turns a tokenizer into its keys.
//!
//! # What it does not do
//!
//! It quantises nothing, prints nothing, opens no connection, and needs no llama.cpp. The same input gives the same
//! bytes for any number of threads. Memory is bounded by threads times a tile of a few megabytes, not by the model.

#![forbid(unsafe_code)]

pub mod arch;
pub mod checkpoint;
pub mod error;
pub mod export;
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
