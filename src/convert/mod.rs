//! Converts a checkpoint to GGUF, from a folder or from a repository whose shards are converted as they arrive.
//!
//! `gguf_export` writes the GGUF and the hub fetches shards; this is the loop around both, for every front end. Not here:
//! anything printed.

mod error;
mod folder;
mod job;
pub mod mtp;
mod repository;
mod types;

pub use error::Error;
pub use folder::folder;
pub use repository::repository;
pub use types::{Converted, Observer, Options, Origin, Step};
