//! Every way in which the hub, the line to it or this disk can refuse.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::cache;
use super::settings::Origin;

/// What went wrong between the hub and this disk.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A variable holds no address.
    #[error("`{name}` is no address of a hub, expected http:// or https:// and a host")]
    Endpoint {
        /// The variable.
        name: &'static str,
    },
    /// The token cannot be one.
    #[error("the token in {origin} has characters that no token has")]
    Token {
        /// Where it is.
        origin: Origin,
    },
    /// Nothing may be asked of the hub, and the cache does not have it.
    #[error("`{what}` is not in the cache, and the hub may not be asked (HF_HUB_OFFLINE)")]
    Offline {
        /// A repository or a file.
        what: String,
    },
    /// The hub does not know the user.
    #[error("the hub gives `{what}` only to those it knows (401)")]
    Unauthorized {
        /// A repository or a file.
        what: String,
        /// The token that it was shown.
        token: Option<Origin>,
    },
    /// The hub knows the user and refuses.
    #[error("the hub refuses `{what}` to this user (403)")]
    Forbidden {
        /// A repository or a file.
        what: String,
        /// The page with the conditions.
        page: String,
        /// The token that it was shown.
        token: Option<Origin>,
    },
    /// There is no such thing.
    #[error("the hub has no `{what}` (404)")]
    NotFound {
        /// A repository or a file.
        what: String,
    },
    /// The hub wants to be asked less, for longer than we wait.
    #[error("the hub wants to be left alone for {} s (429)", wait.as_secs())]
    Busy {
        /// For so long.
        wait: Duration,
    },
    /// The hub answers with something else.
    #[error("the hub answers {status} to `{what}`")]
    Status {
        /// A repository or a file.
        what: String,
        /// HTTP's number.
        status: u16,
    },
    /// There is no line to the hub, or it breaks each time.
    #[error("cannot fetch `{what}`: {reason}")]
    Line {
        /// A repository or a file.
        what: String,
        /// What happened last.
        reason: String,
    },
    /// An answer is not what the hub sends.
    #[error("the hub's answer to `{what}` is {reason}")]
    Answer {
        /// A repository or a file.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A file of a repository has a name that could lead out of the cache.
    #[error("`{repo}` has a file `{name}`, which is no name that may be in a cache")]
    FileName {
        /// The repository.
        repo: String,
        /// The name, cut short.
        name: String,
    },
    /// A repository lacks what it says it has.
    #[error("`{what}` names `{file}`, which the repository does not have")]
    Missing {
        /// The file that names it.
        what: String,
        /// What is missing.
        file: String,
    },
    /// A file came whole, and is another one.
    #[error("`{file}` was fetched twice with the hash {found}, expected {expected}")]
    Hash {
        /// The file.
        file: String,
        /// What came.
        found: String,
        /// What the repository lists.
        expected: String,
    },
    /// A file of the cache is no longer what it was fetched as.
    #[error("`{}` has the hash {found}, expected {expected}", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
        /// What is there.
        found: String,
        /// What the repository lists.
        expected: String,
    },
    /// A file has another length than the repository lists.
    #[error("`{file}` comes with {found} bytes, expected {expected}")]
    Length {
        /// The file.
        file: String,
        /// What came.
        found: u64,
        /// What the repository lists.
        expected: u64,
    },
    /// There is no room.
    #[error("`{}` needs {needed} more bytes and has {available}", path.display())]
    NoSpace {
        /// The folder.
        path: PathBuf,
        /// Bytes that are still to come.
        needed: u64,
        /// Bytes that are free.
        available: u64,
    },
    /// The system refused.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The cache refused.
    #[error(transparent)]
    Cache(#[from] cache::Error),
    /// Whoever asked wants an end.
    #[error("stopped; the same command goes on where it was")]
    Stopped,
}

impl Error {
    /// For `map_err`.
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }

    /// Whether somebody asked for an end.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        matches!(self, Self::Stopped | Self::Cache(cache::Error::Stopped { .. }))
    }

    /// Whether the disk is full.
    #[must_use]
    pub fn is_full(&self) -> bool {
        let full = |error: &io::Error| {
            matches!(
                error.kind(),
                io::ErrorKind::StorageFull | io::ErrorKind::FileTooLarge | io::ErrorKind::QuotaExceeded
            )
        };
        match self {
            Self::NoSpace { .. } => true,
            Self::Io { source, .. } | Self::Cache(cache::Error::Io { source, .. }) => full(source),
            _ => false,
        }
    }
}
