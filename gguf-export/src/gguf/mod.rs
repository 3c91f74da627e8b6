//! The GGUF file format: ordered metadata, tensor descriptors, shards. Not here: the encoding of tensor data.
//!
//! Source: the GGUF specification of ggml (`docs/gguf.md`), versions 2 and 3, little endian.

#[cfg(test)]
pub(crate) mod golden;
mod header;
mod input;
pub mod keys;
pub mod limits;
mod metadata;
mod read;
mod shards;
#[cfg(test)]
mod tests;
mod value;

pub use header::{Header, TensorInfo};
pub use metadata::Metadata;
pub use shards::{open_all, open_all_from, shard_path};
pub use value::{Array, Value};
