//! Errors of the hub, of the connection to it and of the local disk.

use std::io;
use std::path::{Path, PathBuf};

use gguf_export::size;

use super::cache;
use super::token::Origin;
use crate::json;

/// Why a repository or a file could not be fetched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A variable does not hold the address of a hub. The value is not shown, because it may contain a password.
    #[error("`{name}` is not the address of a hub, expected `http://` or `https://` and a host")]
    Endpoint {
        /// The variable.
        name: &'static str,
    },
    /// The variable with the timeout does not hold a number.
    #[error("`HF_HUB_DOWNLOAD_TIMEOUT` is `{value}`, expected a number of seconds")]
    Timeout {
        /// The variable's value.
        value: String,
    },
    /// A token contains spaces, control characters or characters outside of ASCII.
    #[error("invalid token in {origin}: expected printable ASCII characters without spaces")]
    Token {
        /// Where the token was found.
        origin: Origin,
    },
    /// The cache does not have it, and the hub is not asked or not reachable.
    #[error("`{what}` is not in the cache, and {reason}")]
    Offline {
        /// A repository or a file.
        what: String,
        /// Why the hub is not asked.
        reason: String,
    },
    /// The hub requires a valid token.
    #[error("authentication required for `{what}` (`{host}` returned 401)")]
    Unauthorized {
        /// A repository or a file.
        what: String,
        /// The server.
        host: String,
        /// Where the token that was sent was found.
        token: Option<Origin>,
    },
    /// The user may not read the repository.
    #[error("access to `{what}` denied (`{host}` returned 403)")]
    Forbidden {
        /// A repository or a file.
        what: String,
        /// The server.
        host: String,
        /// The page on which access can be requested.
        page: String,
        /// Where the token that was sent was found.
        token: Option<Origin>,
    },
    /// The hub has no such repository, revision or file.
    #[error("`{what}` not found (`{host}` returned {status})")]
    NotFound {
        /// A repository or a file.
        what: String,
        /// The server.
        host: String,
        /// The HTTP status, 404 or 410.
        status: u16,
    },
    /// The hub asks for a longer pause than the client waits.
    #[error("cannot fetch `{what}`: `{host}` returned {status} and asks to retry after {seconds} s")]
    RetryLater {
        /// A repository or a file.
        what: String,
        /// The server.
        host: String,
        /// The HTTP status: 429, 408 or 5xx.
        status: u16,
        /// The pause that it asks for.
        seconds: u64,
    },
    /// The hub returned an unexpected status.
    #[error("cannot fetch `{what}`: `{host}` returned {status}")]
    Status {
        /// A repository or a file.
        what: String,
        /// The server.
        host: String,
        /// The HTTP status.
        status: u16,
    },
    /// The hub cannot be reached, or every attempt failed.
    #[error("cannot fetch `{what}`: {reason}{}", .attempts.map(|n| format!(" ({n} attempts)")).unwrap_or_default())]
    Network {
        /// A repository, a file or the hub.
        what: String,
        /// Why the last attempt failed.
        reason: String,
        /// The number of attempts in a row that failed; `None` if it was not retried.
        attempts: Option<usize>,
    },
    /// A response does not follow the hub's API.
    #[error("invalid response for `{what}`: {reason}")]
    Response {
        /// A repository or a file.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Neither the listing nor the file's own headers have its size and its hash.
    #[error("`{what}` has no {lacks}, neither in the repository's listing nor in the response to HEAD")]
    Undescribed {
        /// The file.
        what: String,
        /// `size` or `hash`.
        lacks: &'static str,
    },
    /// A file of a repository has a name that could lead out of the cache.
    #[error("`{repo}` lists a file `{name}`, which is not a safe file name")]
    FileName {
        /// The repository.
        repo: String,
        /// The name, shortened.
        name: String,
    },
    /// A file of a repository names another that the repository lacks.
    #[error("`{what}` names `{file}`, which the repository does not have")]
    Missing {
        /// The file that names it.
        what: String,
        /// The missing file.
        file: String,
    },
    /// A file was fetched twice, and its hash was wrong both times.
    #[error("`{file}` has the wrong hash after two downloads: {found}, expected {expected}")]
    Hash {
        /// The file.
        file: String,
        /// The hash of the downloaded bytes.
        found: String,
        /// The hash that the repository lists.
        expected: String,
    },
    /// A file of the cache was changed after it was fetched.
    #[error("`{}` has the hash {found}, expected {expected}", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
        /// The hash of the file.
        found: String,
        /// The hash that the repository lists.
        expected: String,
    },
    /// The size of a file differs from the one that the repository lists.
    #[error("`{file}` has {found} bytes, expected {expected} as listed by the repository")]
    Length {
        /// The file.
        file: String,
        /// The size that the server sent or announced.
        found: u64,
        /// The size that the repository lists.
        expected: u64,
    },
    /// The disk of the cache does not have enough space.
    #[error("not enough space in `{}`: {} needed, {} free", path.display(), size(*needed), size(*available))]
    NoSpace {
        /// The folder.
        path: PathBuf,
        /// Bytes that are still to be written.
        needed: u64,
        /// Free bytes.
        available: u64,
    },
    /// The system refused an operation on a file.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// The operation, as a verb.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// An operation on the cache failed.
    #[error(transparent)]
    Cache(#[from] cache::Error),
    /// The caller asked to stop.
    #[error("stopped; run the same command to resume")]
    Stopped,
}

impl Error {
    /// For `map_err`.
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }

    /// A syntax error or a wrong type in JSON, by its position.
    pub(super) fn json(what: String, error: &serde_json::Error) -> Self {
        Self::Response { what, reason: json::problem(error) }
    }

    /// The error of `gguf-export` for a shard that could not be supplied.
    pub(super) fn supply(self, path: &Path) -> gguf_export::Error {
        if self.is_stopped() {
            return gguf_export::Error::Stopped;
        }
        gguf_export::Error::Supply { path: path.to_owned(), source: Box::new(self) }
    }

    /// Whether the caller asked to stop.
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

/// Why a remote checkpoint could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// A header could not be fetched.
    #[error(transparent)]
    Hub(#[from] Error),
    /// A header is invalid.
    #[error(transparent)]
    Checkpoint(#[from] gguf_export::Error),
    /// A tensor is quantized, and the checkpoint that borrows it describes its quantization otherwise or not at all.
    #[error(
        "`{tensor}` of `{file}` is quantized, and its repository has a different `quantization_config` than the checkpoint"
    )]
    Quantized {
        /// The file.
        file: String,
        /// The tensor.
        tensor: String,
    },
}
