//! The page at `/` and its files, which need no key.

mod answer;
mod built_in;
mod folder;
mod source;

pub use folder::{Folder, FolderError};
pub use source::Page;

pub(super) use answer::{file, index};
