//! Why a batch ends before its rows do.

use std::io;
use std::path::PathBuf;

use crate::engine;

/// Why a batch could not begin or go on. Whatever is wrong with one row is that row's [`super::Failure`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The rows cannot be read.
    #[error("cannot read rows from `{path}`")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The answers cannot be kept.
    #[error("cannot {action} `{path}`")]
    Write {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The reader of standard output, where the answers went, is gone.
    #[error("standard output is closed")]
    OutputClosed,
    /// Another process writes there.
    #[error("`{path}` is being written by another process")]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// Two of the files are one.
    #[error("`{path}` cannot be both {one} and {other}")]
    Same {
        /// The file.
        path: PathBuf,
        /// What it was given as.
        one: &'static str,
        /// What else.
        other: &'static str,
    },
    /// The file of answers holds something else.
    #[error("line {line} of `{path}` is no row of a batch")]
    Foreign {
        /// The file.
        path: PathBuf,
        /// The line, from one.
        line: u64,
    },
    /// The answers so far are another model's.
    #[error("`{path}` has answers of model {found}, this one is {expected}")]
    OtherModel {
        /// The file.
        path: PathBuf,
        /// The model of its rows.
        found: String,
        /// The model that was given.
        expected: String,
    },
    /// The engine is gone, and with it the rows that it worked on.
    #[error("the engine ended; `{path}` has every row that was finished")]
    Engine {
        /// The file of answers.
        path: PathBuf,
        /// Why.
        source: engine::Error,
    },
}
