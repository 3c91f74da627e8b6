//! Conversations as files, which `ggrun chat` and the page of `ggrun serve` share.

mod error;
mod format;
mod lock;
mod name;
mod store;
mod tag;

pub use error::Error;
pub use format::{Conversation, FormatError};
pub use name::NotAName;
pub use store::{Store, Stored, state_path};
pub use tag::{Condition, Tag};
