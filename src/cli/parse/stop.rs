//! The outcomes of a command line that does not run a command.

use crate::cli::compat::Refused;
use crate::cli::config::entry::WrongConfig;
use crate::cli::config::layers::Contradiction;

/// Why no command is run.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Help, the version, or an error that clap words.
    Clap(clap::Error),
    /// A usage error: what is wrong, and what to type.
    Usage { message: String, hint: Option<String> },
    /// The configuration file cannot be used.
    Config(WrongConfig),
    /// Only text for standard output was requested.
    Print(String),
}

impl From<Refused> for Stop {
    fn from(Refused { message, hint }: Refused) -> Self {
        Self::Usage { message, hint }
    }
}

impl From<Contradiction> for Stop {
    fn from(error: Contradiction) -> Self {
        Self::Usage { message: error.to_string(), hint: Some("unset one of them".to_owned()) }
    }
}
