//! The nouns of the journal.

use std::path::PathBuf;

/// In which order rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// As they finish.
    #[default]
    Completion,
    /// As they stand in the input.
    Input,
}

/// Where rows go.
#[derive(Debug, Clone)]
pub struct Targets {
    /// The file of answers; `-` is standard output, which keeps nothing.
    pub out: PathBuf,
    /// Another file for rows that failed.
    pub errors: Option<PathBuf>,
    /// In which order.
    pub order: Order,
}

/// What to do with a row of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::batch) enum Claim {
    /// It is to be answered: it is new.
    New,
    /// It is to be answered: an earlier run answered another request of this id.
    Changed,
    /// It is to be answered: an earlier run failed to.
    Again,
    /// It was answered.
    Done,
    /// It was refused, and would be again.
    Refused,
    /// An earlier row of this input has its id.
    Duplicate,
}

/// A row to be written.
#[derive(Debug)]
pub(in crate::batch) struct Finished {
    pub(in crate::batch) line: u64,
    pub(in crate::batch) key: u128,
    pub(in crate::batch) status: u16,
    /// The row, its end included.
    pub(in crate::batch) text: Vec<u8>,
}

/// Where a row lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Nowhere yet.
    Nowhere,
    Out,
    Errors,
    Part,
}

/// What is known of an id: 32 bytes with its key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) hash: u64,
    /// Its line once it was seen in the input; before, how many rows of the files came before it.
    pub(super) line: u32,
    pub(super) place: Place,
    pub(super) state: State,
    pub(super) seen: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Open,
    Done,
    Refused,
    Broken,
}

impl State {
    pub(super) fn of(status: u16) -> Self {
        match status {
            200 => Self::Done,
            500.. => Self::Broken,
            _ => Self::Refused,
        }
    }
}

/// A row that waits in the part file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waiting {
    pub(super) key: u128,
    pub(super) begin: u64,
    pub(super) length: u64,
}
