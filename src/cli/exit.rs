//! How a command ends, and its exit code.

use std::process::ExitCode;

/// How a command ended. Numbers: see `ggrun --help`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Success,
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
