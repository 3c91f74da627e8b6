//! Hugging Face's hub: from a repository's name to files on this disk.
//!
//! The cache is the one that Hugging Face's own tools share, so what they fetched is found here and the other way round.
//! Not here: what the files mean, anything printed.

pub mod cache;
pub mod hash;
mod name;
pub mod pick;

pub use name::{RepoName, WrongName};
