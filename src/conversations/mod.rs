//! Conversations as files, which `ggrun chat` and the page of `ggrun serve` share.

mod format;
mod lock;
mod name;
mod store;

pub use format::{Conversation, FormatError};
pub use name::NotAName;
pub use store::{Condition, Error, Store, Stored, Tag, state_path};
