//! llama.cpp behind the engine's traits. The only module that names the binding.
//!
//! llama.cpp ends the process where it finds a broken promise, so what it is given is checked here first:
//! token numbers, positions, batch sizes, logits that are not numbers. Files are checked in `model`.

mod backend;
mod caps;
mod decoder;
mod devices;
mod log;
mod metadata;
mod params;
mod rope;
pub mod rpc;
mod sampler;
mod saving;
mod vocab;
mod weights;

pub use backend::share_out;
pub use caps::{EngineCaps, caps};
pub use decoder::LlamaDecoder;
pub use devices::{Device, DeviceKind, devices};
pub use metadata::{LONGEST as LONGEST_OVERRIDE, MetadataOverride, MetadataValue};
pub use params::{Abort, CacheType, ContextParams, Flash, LoadMode, LoadParams, Numa, Override, SplitMode};
pub use rope::{Rope, RopeScaling};
pub use sampler::{check_rules, check_values};
pub use vocab::LlamaVocab;
pub use weights::{LoadFailure, Weights};
