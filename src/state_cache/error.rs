//! Why a folder cannot hold states.

use std::io;
use std::path::PathBuf;

/// Why a folder cannot hold states.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// It cannot be created or read.
    #[error("cannot use `{}` as the state folder", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The failure.
        source: io::Error,
    },
    /// It belongs to another user, who could replace the states.
    #[error("cannot use `{}` as the state folder: it belongs to another user", path.display())]
    Owner {
        /// The folder.
        path: PathBuf,
    },
    /// Other users may use it, and it has other files, so its permissions are left as they are.
    #[error(
        "cannot use `{}` as the state folder: its permissions are {mode:03o}, expected 700, and it holds other files",
        path.display()
    )]
    Open {
        /// The folder.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The thread that writes cannot be started.
    #[error("cannot start the thread that writes states")]
    Thread(#[source] io::Error),
}
