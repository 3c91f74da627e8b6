//! Errors in a request body.

use crate::session::NotAFunction;

/// An error in a request body. It names the field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The value of a field is out of range or of another type.
    #[error("`{field}` is `{found}`, expected {expected}")]
    Value {
        /// The field.
        field: String,
        /// Its value, shortened.
        found: String,
        /// Values that it may have.
        expected: &'static str,
    },
    /// A field has too many of something.
    #[error("`{field}` has {found}, expected {expected}")]
    Count {
        /// The field.
        field: &'static str,
        /// How many it has of what.
        found: String,
        /// How many it may have.
        expected: &'static str,
    },
    /// A required field is missing.
    #[error("`{field}` is missing")]
    Missing {
        /// The field.
        field: &'static str,
    },
    /// Two fields exclude each other.
    #[error("`{field}` and `{other}` cannot be used together")]
    Conflict {
        /// The first field.
        field: &'static str,
        /// The second field.
        other: &'static str,
    },
    /// A message or a tool does not have the form that templates expect.
    #[error("`{field}` cannot be read: {reason}")]
    Shape {
        /// The field.
        field: &'static str,
        /// Why not.
        reason: String,
    },
}

impl From<NotAFunction> for Refusal {
    fn from(error: NotAFunction) -> Self {
        Self::Shape { field: "tools", reason: error.to_string() }
    }
}

impl Refusal {
    /// The field with the error.
    #[must_use]
    pub fn field(&self) -> &str {
        match self {
            Self::Value { field, .. } => field,
            Self::Count { field, .. }
            | Self::Missing { field }
            | Self::Conflict { field, .. }
            | Self::Shape { field, .. } => field,
        }
    }
}
