//! Every way in which the cache can refuse.

use std::io;
use std::path::{Path, PathBuf};

/// What went wrong in the cache.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A name that would lead out of the folder that it belongs to, or that no hub gives.
    #[error("`{name}` is no {what} that may be in the cache: expected {expected}")]
    Name {
        /// `file name`, `commit`, `hash`, `revision`.
        what: &'static str,
        /// The name, cut after 200 characters.
        name: String,
        /// What would have been right.
        expected: &'static str,
    },
    /// Something else is where the cache has a folder of its own; a link could lead anywhere.
    #[error("`{path}` is a link or a file, expected a folder of the cache", path = path.display())]
    NoFolder {
        /// What is there.
        path: PathBuf,
    },
    /// Something else is where a lock belongs.
    #[error("`{path}` is no file, expected a lock of the cache", path = path.display())]
    NoFile {
        /// What is there.
        path: PathBuf,
    },
    /// Another process fetches files of a repository.
    #[error("another process downloads to `{path}`", path = path.display())]
    Busy {
        /// The repository's folder.
        path: PathBuf,
    },
    /// The system refused.
    #[error("cannot {action} `{path}`", path = path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Whoever asked wants an end.
    #[error("stopped while another process holds `{path}`", path = path.display())]
    Stopped {
        /// The lock that was waited for.
        path: PathBuf,
    },
}

impl Error {
    pub(super) fn name(what: &'static str, name: &str, expected: &'static str) -> Self {
        let name = name.chars().take(200).flat_map(char::escape_debug).collect();
        Self::Name { what, name, expected }
    }

    /// For `map_err`.
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }
}
