//! Fields that a row has and no answer depends on.

use std::fmt;

use crate::openai::{Refusal, UnknownField};

/// A field that is named in a warning, or refused in a strict run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ignored {
    /// An unknown field.
    Unknown(UnknownField),
    /// A known field with a value that is not supported.
    Unsupported(Refusal),
}

impl Ignored {
    /// The name of the field.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Unknown(field) => &field.name,
            Self::Unsupported(refusal) => refusal.field(),
        }
    }
}

/// The warning about it.
impl fmt::Display for Ignored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(field) => f.write_str(&field.ignored()),
            Self::Unsupported(refusal) => write!(f, "{refusal}; ignored"),
        }
    }
}
