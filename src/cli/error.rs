//! Typed errors of the command line, which `report` maps to hints and exit codes.

use std::net::Ipv4Addr;

/// The user interrupted the command. `interrupt::exit_code` has the exit code.
#[derive(Debug, thiserror::Error)]
#[error("interrupted")]
pub(crate) struct Interrupted;

/// The system refused to start a thread.
#[derive(Debug, thiserror::Error)]
#[error("cannot start a thread")]
pub(crate) struct NoThread(#[source] pub(crate) std::io::Error);

/// A confirmation is needed and there is no terminal to ask on.
#[derive(Debug, thiserror::Error)]
#[error("nothing removed: cannot ask for confirmation, standard input is not a terminal")]
pub(crate) struct Unasked;

/// The options name no model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WrongModel {
    #[error("`--hf-file` names a file of a repository, expected `--hf-repo` as well")]
    FileAlone,
    #[error("`--hf-file` and the address in `--hf-repo` both name a file, expected one of them")]
    TwoFiles,
    #[error("no model, expected MODEL, `-m` or `-hf`")]
    None,
}

/// There is no folder for what this user's programs keep.
#[derive(Debug, thiserror::Error)]
#[error("no state folder of this user for `--state-dir auto`")]
pub(crate) struct NoStateFolder;

/// A server was to listen on the same host twice.
#[derive(Debug, thiserror::Error)]
#[error("`--host` names `{host}` twice")]
pub(crate) struct HostTwice {
    pub(crate) host: String,
}

/// An option that a command requires.
#[derive(Debug, thiserror::Error)]
#[error("no output, expected `-o`")]
pub(crate) struct NoOutput;

/// Rows of a batch that an earlier run answered, and whose request is another one now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "{changed} of {answered} answered rows have changed: their requests, or options such as `-n` and `--temp`"
)]
pub(crate) struct ChangedRows {
    pub(crate) changed: u64,
    pub(crate) answered: u64,
}

/// Options of a table that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WrongTable {
    #[error("`{option}` is for tables, `{input}` has JSON lines")]
    Lines { option: &'static str, input: String },
    #[error("`{input}` is a table, expected `--prompt-column` or `--template`")]
    NoPrompt { input: String, columns: Vec<String> },
    #[error("`--template` does not insert `{column}`, the column of `--prompt-column`")]
    Unused { column: String },
}

/// A checkpoint where a GGUF is expected.
#[derive(Debug, thiserror::Error)]
#[error("`{place}` is a checkpoint, expected a GGUF")]
pub(crate) struct IsCheckpoint {
    pub(crate) place: String,
}

/// A worker was to listen for other machines without `--allow-remote`.
#[derive(Debug, thiserror::Error)]
#[error("refused to listen on `{host}`, which other machines can reach: {DANGER}")]
pub(crate) struct Remote {
    pub(crate) host: Ipv4Addr,
}

/// The risk of `--allow-remote`.
pub(crate) const DANGER: &str = "llama.cpp's RPC has no password and no encryption, and any client can read and write the \
                      memory of the process that serves it";

/// `RUST_LOG` is not a filter.
#[derive(Debug, thiserror::Error)]
#[error("`RUST_LOG` is `{filter}`, expected levels and targets such as `info` or `warn,ggrun=debug`")]
pub(crate) struct WrongFilter {
    pub(crate) filter: String,
}
