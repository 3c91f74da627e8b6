//! The command line: the composition root, and the only part that prints.
#![expect(clippy::print_stderr, reason = "the only part that prints")]

mod args;
mod commands;
mod compat;
mod error;
mod exit;
mod interrupt;
mod options;
mod report;
mod shared;
mod ui;

use std::process::ExitCode;

use clap::Parser;

use args::{Args, Command};
use commands::{
    batch, bench, cache, chat, convert, demo, doctor, download, inspect, plan, run, verify, worker,
};
use exit::Outcome;
use ui::out::print;

/// Runs the command that the arguments name.
pub(crate) fn main() -> ExitCode {
    let args = match Args::try_parse_from(compat::rewrite(std::env::args_os())) {
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
