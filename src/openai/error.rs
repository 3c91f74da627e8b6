//! Why a body is no request.

/// Why a body was refused. It names the field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// A field has a value that it cannot have.
    #[error("`{field}` is `{found}`, expected {expected}")]
    Value {
        /// Which field.
        field: String,
        /// What it holds, cut short.
        found: String,
        /// What it may hold.
        expected: &'static str,
    },
    /// A field that must be there is not.
    #[error("there is no `{field}`")]
    Missing {
        /// Which field.
        field: &'static str,
    },
    /// Two fields ask for different things.
    #[error("`{field}` and `{other}` exclude each other")]
    Conflict {
        /// One.
        field: &'static str,
        /// The other.
        other: &'static str,
    },
    /// A message or a tool is not of the form that templates expect.
    #[error("`{field}` cannot be read: {reason}")]
    Shape {
        /// Which field.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

impl Refusal {
    /// The field it is about.
    #[must_use]
    pub fn field(&self) -> &str {
        match self {
            Self::Value { field, .. } => field,
            Self::Missing { field } | Self::Conflict { field, .. } | Self::Shape { field, .. } => field,
        }
    }
}
