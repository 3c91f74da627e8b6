//! The cache that Hugging Face's tools share: where a file of a repository lies, who may write it, and what is there.
//!
//! Not here: what fetches files, and what a user is asked before something goes.

mod error;
mod forget;
mod layout;
mod lock;
mod place;
mod remove;
mod root;
mod scan;

pub use error::Error;
pub use layout::{Cache, Folder};
pub use lock::Lock;
pub use remove::Removal;
pub use root::root;
pub use scan::{Blob, Entry, MOST_ENTRIES, Repository, Scan, Snapshot, Target};
