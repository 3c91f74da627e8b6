//! llama.cpp behind the engine's traits. The only module that uses the binding.
//!
//! llama.cpp ends the process on invalid input, so its input is checked here first: token numbers, positions, batch
//! sizes, logits that are not finite. Files are checked in `model`.

mod abort;
mod backend;
mod busy;
mod caps;
mod copies;
mod crash;
mod decoder;
mod devices;
mod interface;
#[cfg(test)]
mod kernel_tests;
mod kernels;
mod log;
mod logits;
mod metadata;
mod multiplies;
mod params;
mod probe;
mod rope;
pub mod rpc;
mod sampler;
mod saving;
mod stream;
mod threads;
#[cfg(test)]
mod tiny;
mod transfer;
mod vocab;
mod weights;

pub use crate::engine::Abort;
pub use abort::on_abort;
pub use backend::{NumaError, set_numa};
pub use busy::busy;
pub use caps::{EngineCaps, caps};
pub use copies::{COPIES_FROM, can_set_copies};
pub use crash::on_crash;
pub use decoder::LlamaDecoder;
pub use devices::{Device, DeviceKind, devices};
#[cfg(test)]
pub(crate) use kernel_tests::default_version;
pub use kernels::{Kernels, kernels};
pub(crate) use log::is_short_of_memory;
pub use metadata::{LONGEST as LONGEST_OVERRIDE, MetadataOverride, MetadataValue};
pub use multiplies::{Matrix, multiplies};
pub use params::{CacheType, ContextParams, Flash, LoadMode, LoadParams, Numa, Override, SplitMode};
pub use probe::{DeviceSpeed, Multiplication, measure};
pub use rope::{Rope, RopeScaling};
pub use sampler::{check_rules, check_values};
pub use stream::{Streamed, can_stream, streamed};
pub use threads::share_by_pieces;
pub use transfer::measure_transfer;
pub use vocab::LlamaVocab;
pub use weights::{LoadFailure, Weights};
