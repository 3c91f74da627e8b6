//! Which contents of a file a change expects.

use sha2::{Digest as _, Sha256};

/// Identifies the contents of a file: an entity tag without its quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag(String);

/// What must hold for a file to be changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// It does not exist.
    New,
    /// It exists.
    Exists,
    /// It has one of these tags.
    Tags(Vec<Tag>),
}

impl Tag {
    /// A tag from a header.
    #[must_use]
    pub fn new(tag: &str) -> Self {
        Self(tag.to_owned())
    }

    /// The tag without quotes.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn of(bytes: &[u8]) -> Self {
        Self::with(Sha256::new_with_prefix(bytes))
    }

    pub(super) fn with(hash: Sha256) -> Self {
        let digest = hash.finalize();
        Self(format!("{:032x}", u128::from_be_bytes(std::array::from_fn(|at| digest[at]))))
    }
}
