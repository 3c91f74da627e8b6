//! The user's access token and where it was found.

use std::fmt;
use std::path::PathBuf;

/// An access token of the hub. It is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    secret: String,
    origin: Origin,
}

/// Where a token was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// An environment variable.
    Variable(&'static str),
    /// A file.
    File(PathBuf),
}

impl Token {
    /// A token; `None` if it has characters that cannot be sent in a header.
    pub(super) fn new(secret: String, origin: Origin) -> Option<Self> {
        secret.bytes().all(|byte| byte.is_ascii_graphic()).then_some(Self { secret, origin })
    }

    /// Where it was found.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    pub(super) fn secret(&self) -> &str {
        &self.secret
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("origin", &self.origin).finish_non_exhaustive()
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(name) => f.write_str(name),
            Self::File(path) => write!(f, "`{}`", path.display()),
        }
    }
}
