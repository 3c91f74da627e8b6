//! The command line: the composition root, and the only part that prints.
#![expect(clippy::print_stderr, reason = "the only part that prints")]

mod args;
mod args_compat;
mod ask;
mod batch;
mod bench;
mod cache;
mod chat;
mod convert;
mod demo;
mod doctor;
mod download;
mod inspect;
mod interrupt;
mod lent;
mod model;
mod open;
mod placement;
mod plan;
mod progress;
mod report;
mod run;
mod sampling;
mod source;
mod style;
mod text;
mod verify;
mod worker;

use std::process::ExitCode;

use clap::Parser;

use args::{Args, Command};

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

/// Runs the command that the arguments name.
pub(crate) fn main() -> ExitCode {
    let args = match Args::try_parse_from(args_compat::rewrite(std::env::args_os())) {
        Ok(args) => args,
        Err(e) => {
            // Help goes to standard output, usage errors to standard error; a closed pipe is nobody's fault.
            drop(e.print());
            if e.kind() == clap::error::ErrorKind::DisplayVersion {
                drop(print(&engine_line()));
            }
            return ExitCode::from(u8::try_from(e.exit_code()).unwrap_or(2));
        }
    };
    let done = match &args.command {
        Command::Convert(args) => convert::run(args),
        Command::Verify(args) => verify::run(args),
        Command::Inspect(args) => inspect::run(args),
        Command::Run(args) => {
            run::run(args, &mut std::io::stdout(), &mut std::io::stderr()).map(|()| Outcome::Success)
        }
        Command::Chat(args) => {
            chat::run(args, &mut std::io::stdout(), &mut std::io::stderr()).map(|()| Outcome::Success)
        }
        Command::Batch(args) => batch::run(args),
        Command::Plan(args) => plan::run(args),
        Command::Bench(args) => bench::run(args),
        Command::Demo(args) => demo::run(args),
        Command::Worker(args) => worker::run(args),
        Command::Cache(args) => cache::run(args),
        Command::Doctor(args) => doctor::run(args),
        Command::Download(args) => download::run(args),
    };
    match done {
        Ok(outcome) => outcome.into(),
        Err(error) => report::report(&error),
    }
}

/// What the version of ggrun leaves open: the engine under it.
fn engine_line() -> String {
    let caps = ggrun::model::caps();
    let patches = if caps.patches.is_empty() { "none".to_owned() } else { caps.patches.join(" ") };
    format!("llama.cpp {} ({}), patches: {patches}\n", caps.build, caps.backends.join(" "))
}

/// Writes data to standard output; a closed pipe ends the command quietly, through its error.
pub(crate) fn print(text: &str) -> std::io::Result<()> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
