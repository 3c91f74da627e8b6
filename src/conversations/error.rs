//! Why a conversation cannot be read or changed.

use std::io;

use super::format::FormatError;
use super::name::NotAName;

/// Why a conversation cannot be read or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The name is not one of a conversation.
    #[error(transparent)]
    Name(#[from] NotAName),
    /// It does not exist.
    #[error("there is no conversation `{name}`")]
    Missing {
        /// Its name.
        name: String,
    },
    /// It exists already.
    #[error("the conversation `{name}` exists already")]
    Exists {
        /// Its name.
        name: String,
    },
    /// It does not have one of the expected tags.
    #[error("the conversation `{name}` has changed since it was read")]
    Changed {
        /// Its name.
        name: String,
    },
    /// The text is not a conversation.
    #[error("it is not a conversation of ggrun")]
    Format(#[from] FormatError),
    /// It is not UTF-8.
    #[error("it is not UTF-8")]
    NotText,
    /// It is too large.
    #[error("it has {found} bytes, expected at most {most}")]
    TooLarge {
        /// Its size.
        found: u64,
        /// The limit.
        most: u64,
    },
    /// The folder is full.
    #[error("the folder holds {most} conversations; delete one first")]
    Full {
        /// How many it can hold.
        most: usize,
    },
    /// Another thread or process did not finish a change.
    #[error("the conversations are being changed; try again")]
    Busy,
    /// The file or the folder cannot be read or written.
    #[error("cannot access the conversation")]
    Io(#[from] io::Error),
}
