//! The types of the journal.

use std::path::{Path, PathBuf};

use crate::batch::hash::RequestHash;

/// The order of rows in the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// In the order of completion.
    #[default]
    Completion,
    /// In the order of the input.
    Input,
}

/// The files that rows are written to.
#[derive(Debug, Clone)]
pub struct Targets {
    /// The file of answers; `-` is standard output, which cannot be resumed.
    pub out: PathBuf,
    /// Another file for rows that failed.
    pub errors: Option<PathBuf>,
    /// The order of rows.
    pub order: Order,
}

/// What earlier runs did with a row of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::batch) enum Standing {
    /// To be answered: it is new.
    New,
    /// To be answered again: an earlier run answered another request of this id.
    Changed,
    /// To be answered: it failed in an earlier run.
    Again,
    /// Answered by an earlier run.
    Done,
    /// Refused by an earlier run, and not retried.
    Refused,
}

/// A row of the input, looked up and begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::batch) enum Claim {
    /// It is not in this input yet.
    First(Standing),
    /// A duplicate of the id of an earlier row of this input.
    Duplicate,
}

/// A row to be written.
#[derive(Debug)]
pub(in crate::batch) struct Finished {
    pub(in crate::batch) line: u64,
    pub(in crate::batch) key: u128,
    pub(in crate::batch) status: u16,
    /// The row, the newline included.
    pub(in crate::batch) text: Vec<u8>,
}

/// The file of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Nowhere yet.
    Nowhere,
    Out,
    Errors,
    Part,
}

/// The entry of an id: 32 bytes with its key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) hash: u64,
    /// Its line once it has been seen in the input; before that, its place among the rows of the files.
    pub(super) line: u32,
    pub(super) place: Place,
    pub(super) state: State,
    pub(super) seen: bool,
}

impl Entry {
    /// The standing of a request with its id.
    pub(super) fn standing(&self, hash: RequestHash, retry_refused: bool) -> Standing {
        match (self.state, self.hash == hash.short()) {
            (State::Done, true) => Standing::Done,
            (State::Done, false) => Standing::Changed,
            (State::Refused, true) if !retry_refused => Standing::Refused,
            (State::Refused | State::Broken | State::Open, _) => Standing::Again,
        }
    }
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

/// A row in the part file, waiting for its turn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waiting {
    pub(super) key: u128,
    pub(super) begin: u64,
    pub(super) length: u64,
}

/// The part file of an output.
pub(super) fn part_of(out: &Path) -> PathBuf {
    let mut name = out.to_owned().into_os_string();
    name.push(".part");
    name.into()
}
