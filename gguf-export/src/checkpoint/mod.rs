//! Reads checkpoints: configuration, shards, tensors. Not here: the encoding of weights.

pub(crate) mod config;
mod dtype;
pub(crate) mod folder;
mod identity;
pub(crate) mod json;
mod open;
mod shard;
mod superseded;
mod supplied;

pub use config::ModelConfig;
pub use dtype::Dtype;
pub use folder::{parse_index, second_copies};
pub use identity::Identity;
pub use open::{Checkpoint, TensorId};
pub use shard::{TensorInfo, read_header};
pub use superseded::Superseded;
pub use supplied::{Shard, head_bytes};
