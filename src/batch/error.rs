//! Errors that end a batch.

use std::io;
use std::path::PathBuf;

use gguf_export::format::Format;

use super::table::Fault;
use crate::engine;

/// An error that ends a batch. An error in one row is that row's [`Failure`](super::Failure).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The input cannot be read.
    #[error("cannot read rows from `{path}`")]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The input is neither a file nor a pipe.
    #[error("`{path}` is {found}, expected a file or a pipe")]
    NotFile {
        /// The path.
        path: PathBuf,
        /// What is there.
        found: &'static str,
    },
    /// The input is a file of another kind.
    #[error("`{path}` is {found}, expected rows in UTF-8")]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What it is.
        found: Format,
    },
    /// All rows are in one JSON array.
    #[error("`{path}` is one JSON array, expected an object in each line")]
    JsonArray {
        /// The file.
        path: PathBuf,
    },
    /// The input is not a well-formed table.
    #[error("cannot read `{path}` as a table: {fault}")]
    Table {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        fault: Fault,
    },
    /// A file of answers cannot be written.
    #[error("cannot {action} `{path}`")]
    Write {
        /// The step that failed.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The reader of standard output, which received the answers, has gone away.
    #[error("standard output is closed")]
    OutputClosed,
    /// Another process writes to the file.
    #[error("`{path}` is being written by another process")]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// Two of the files are the same.
    #[error("`{path}` cannot be both {one} and {other}")]
    Same {
        /// The file.
        path: PathBuf,
        /// Its first role.
        one: &'static str,
        /// Its second role.
        other: &'static str,
    },
    /// The output holds something other than answers.
    #[error("line {line} of `{path}` is not a row of a batch")]
    NotAnswers {
        /// The file.
        path: PathBuf,
        /// The line, from one.
        line: u64,
    },
    /// The output holds answers of another model.
    #[error("`{path}` has answers of model {found}, expected {expected}")]
    OtherModel {
        /// The file.
        path: PathBuf,
        /// The model of its rows.
        found: String,
        /// The model of this run.
        expected: String,
    },
    /// A row was answered by an earlier run, and its request has changed.
    #[error(
        "line {line}: row `{id}` has changed since it was answered: its request, or options such as `-n`"
    )]
    Changed {
        /// The line of the row.
        line: u64,
        /// Its id.
        id: String,
    },
    /// The engine ended.
    #[error("the engine ended; `{path}` has every finished row")]
    Engine {
        /// The file of answers.
        path: PathBuf,
        /// The cause.
        source: engine::Error,
    },
}
