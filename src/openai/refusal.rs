//! Errors in a request body.

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

impl Refusal {
    /// The field with the error.
    #[must_use]
    pub fn field(&self) -> &str {
        match self {
            Self::Value { field, .. } => field,
            Self::Missing { field } | Self::Conflict { field, .. } | Self::Shape { field, .. } => field,
        }
    }
}
