//! The cache that is shared with Hugging Face's own tools: its layout, its locks, its contents, and removal.
//!
//! Not here: downloading, and asking the user before a removal.

mod error;
mod forget;
mod layout;
mod lock;
mod place;
mod remove;
mod root;
mod scan;

pub use error::Error;
pub(super) use layout::check_file;
pub use layout::{Cache, Folder};
pub use lock::Lock;
pub use remove::Removal;
pub(super) use root::home;
pub use root::root;
pub use scan::{Blob, Entry, MOST_ENTRIES, Repository, Scan, Snapshot, Target};
