//! The cache that Hugging Face's tools share: where a file of a repository lies, who may write it, and what is there.
//!
//! Not here: what fetches files, and what a user is asked before something goes.

mod error;
mod layout;
mod lock;
mod place;
mod root;

pub use error::Error;
pub use layout::{Cache, Folder};
pub use lock::Lock;
pub use root::root;
