//! Models: checking and loading a file, placing it in the machine's memory, and starting an engine on it.

mod check;
mod error;
#[cfg(test)]
mod families_tests;
mod header;
mod hparams;
mod identity;
mod loaded;
mod options;
mod placed;
mod placement;
pub mod rates;
mod running;
mod sampling;
pub mod system;
mod threads;
#[cfg(test)]
mod tiny;

pub use crate::engine::Abort;
pub use crate::llama::{
    CacheType, Device, DeviceKind, DeviceSpeed, EngineCaps, Flash, Kernels, LONGEST_OVERRIDE, LlamaDecoder,
    LoadMode, MetadataOverride, MetadataValue, Multiplication, Numa, NumaError, Override, Rope, RopeScaling,
    SplitMode, Streamed, busy, can_stream, caps, check_rules, check_values, devices, measure, on_abort,
    on_crash, rpc, streamed,
};
pub use check::{TensorCheck, check, check_with};
pub use error::LoadError;
pub use header::Header;
pub use hparams::{HParams, Mla, Recurrent, Sliding};
pub use identity::{model_digest, weights_digest};
pub use loaded::{Loading, Model};
pub use options::{ContextSize, GpuLayers, LoadOptions};
pub use placed::{ASSUMED_GPU, ASSUMED_TRANSFER, place_measured};
pub use placement::{
    Bandwidth, BatchRates, Bill, DiskSpeed, Gpu, Line, Machine, Note, OutOfMemory, PerByte, PlaceError,
    Placement, Prefill, PrefillReason, Speed, Stream, Work, load_mode_name, place,
};
pub use running::Running;
pub use sampling::recommended_sampling;
pub use threads::{default_threads, machine_cores, share_by_speed};
