//! What has no effect on the answer of a row.

use std::fmt;

use crate::openai::{Refusal, UnknownField};

/// What is named in a warning, or refused in a strict run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ignored {
    /// An unknown field.
    Unknown(UnknownField),
    /// A known field with a value that is not supported.
    Unsupported(Refusal),
    /// The system prompt of the batch, by a row with a raw prompt.
    SystemPrompt,
}

impl Ignored {
    /// The name of the field or option.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Unknown(field) => &field.name,
            Self::Unsupported(refusal) => refusal.field(),
            Self::SystemPrompt => "system prompt",
        }
    }
}

/// The warning about it.
impl fmt::Display for Ignored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(field) => f.write_str(&field.ignored()),
            Self::Unsupported(refusal) => write!(f, "{refusal}; ignored"),
            Self::SystemPrompt => f.write_str("a row with `prompt` takes no system prompt; ignored there"),
        }
    }
}
