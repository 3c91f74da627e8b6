//! Outcomes of a command and their exit codes.

use std::process::ExitCode;

/// The exit code if memory or disk space is short.
pub(crate) const NO_RESOURCES: u8 = 4;

/// The outcome of a command that did not fail. `ggrun --help` lists the exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Success,
    /// A verification found a difference.
    Differs,
    /// Some rows of a batch have no answer.
    RowsFailed,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Success => Self::SUCCESS,
            Outcome::Differs => Self::from(3),
            Outcome::RowsFailed => Self::from(5),
        }
    }
}
