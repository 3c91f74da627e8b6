//! Errors of the cache.

use std::io;
use std::path::{Path, PathBuf};

/// Why an operation on the cache failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A name that is malformed, or could lead out of the repository's folder.
    #[error("invalid {what} `{name}`: expected {expected}")]
    Name {
        /// `file name`, `commit`, `hash`, `revision`.
        what: &'static str,
        /// The name, shortened to 200 characters.
        name: String,
        /// The expected form.
        expected: &'static str,
    },
    /// A file or a symbolic link in place of one of the cache's folders. A link could lead anywhere.
    #[error("`{path}` is a file or a symbolic link, expected a folder of the cache", path = path.display())]
    NotFolder {
        /// The path.
        path: PathBuf,
    },
    /// The cache or a repository's folder is a symbolic link that does not lead to a folder.
    #[error(
        "`{path}` is a symbolic link to `{to}`, expected an existing folder there",
        path = path.display(), to = to.display()
    )]
    Dangling {
        /// The link.
        path: PathBuf,
        /// Its target.
        to: PathBuf,
    },
    /// A folder or a symbolic link in place of a lock file.
    #[error("`{path}` is not a regular file, expected a lock file of the cache", path = path.display())]
    NotFile {
        /// The path.
        path: PathBuf,
    },
    /// Another process is fetching files of the repository.
    #[error("another process is downloading to `{path}`", path = path.display())]
    Busy {
        /// The repository's folder.
        path: PathBuf,
    },
    /// The system refused an operation on a file.
    #[error("cannot {action} `{path}`", path = path.display())]
    Io {
        /// The operation, as a verb.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The caller asked to stop.
    #[error("stopped while waiting for another process to release `{path}`", path = path.display())]
    Stopped {
        /// The lock.
        path: PathBuf,
    },
}

impl Error {
    /// Whether the system refused to change a file because the cache is read-only.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        use io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
        matches!(self, Self::Io { source, .. } if matches!(source.kind(), PermissionDenied | ReadOnlyFilesystem))
    }

    pub(in crate::hub) fn name(what: &'static str, name: &str, expected: &'static str) -> Self {
        let name = name.chars().take(200).flat_map(char::escape_debug).collect();
        Self::Name { what, name, expected }
    }

    /// For `map_err`.
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }
}
