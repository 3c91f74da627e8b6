//! Typed errors of the command line itself: what `report` finds a hint or an exit code for.

use std::net::Ipv4Addr;

/// The user stopped it; the exit code is that of `interrupt::exit_code`.
#[derive(Debug, thiserror::Error)]
#[error("interrupted")]
pub(crate) struct Interrupted;

/// There is nobody who could be asked.
#[derive(Debug, thiserror::Error)]
#[error("nothing was removed: standard input is no terminal on which to ask")]
pub(crate) struct Unasked;

/// The options name no model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WrongModel {
    #[error("`--hf-file` names a file of a repository, expected `--hf-repo` with it")]
    FileAlone,
    #[error("`--hf-file` and the address in `--hf-repo` both name a file, expected one of them")]
    TwoFiles,
    #[error("no model, expected MODEL, `-m` or `-hf`")]
    None,
}

/// An option that a command cannot do without.
#[derive(Debug, thiserror::Error)]
#[error("no output, expected `-o`")]
pub(crate) struct NoOutput;

/// A checkpoint where a GGUF is expected.
#[derive(Debug, thiserror::Error)]
#[error("`{place}` is a checkpoint, expected a GGUF")]
pub(crate) struct IsCheckpoint {
    pub(crate) place: String,
}

/// An address for others was asked for without saying so.
#[derive(Debug, thiserror::Error)]
#[error("will not listen on `{host}`, which other machines may reach: {DANGER}")]
pub(crate) struct Remote {
    pub(crate) host: Ipv4Addr,
}

/// What `--allow-remote` allows.
pub(crate) const DANGER: &str = "llama.cpp's RPC has neither password nor encryption, and whoever connects can read and write \
                      the worker's memory";

/// A filter of the log that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("`RUST_LOG` is `{filter}`, expected levels and targets such as `info` or `warn,ggrun=debug`")]
pub(crate) struct WrongFilter {
    pub(crate) filter: String,
}
