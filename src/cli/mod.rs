//! The command line: the composition root, and the only part that prints.
#![expect(clippy::print_stderr, reason = "the only part that prints")]

mod args;
mod commands;
mod compat;
mod config;
mod error;
mod exit;
mod interrupt;
mod options;
mod parse;
mod report;
mod shared;
mod ui;

use std::process::ExitCode;

use clap::CommandFactory as _;

use args::{Args, Command};
use commands::{
    batch, bench, cache, chat, completions, convert, demo, doctor, download, inspect, man, plan, run, verify, worker,
};
use exit::Outcome;
use parse::{Stop, parse};
use ui::out::print;

/// Runs the command that the arguments name.
pub(crate) fn main() -> ExitCode {
    let parsed = match parse(std::env::args_os(), &|name| std::env::var_os(name)) {
        Ok(parsed) => parsed,
        Err(stop) => return stopped(stop),
    };
    for note in &parsed.notes {
        eprintln!("note: {note}");
    }
    let args = parsed.args;
    if let Some(Err(error)) = args.command.placement().map(|placement| placement.threads.settle()) {
        return report::report(&error);
    }
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
        Command::Completions(args) => completions::run(args, Args::command()),
        Command::Man(args) => man::run(args, Args::command()),
    };
    match done {
        Ok(outcome) => outcome.into(),
        Err(error) => report::report(&error),
    }
}

/// Ends before a command is run.
fn stopped(stop: Stop) -> ExitCode {
    match stop {
        Stop::Clap(error) => {
            // Help goes to standard output, usage errors to standard error; a closed pipe is nobody's fault.
            drop(error.print());
            if error.kind() == clap::error::ErrorKind::DisplayVersion {
                drop(print(&engine_line()));
            }
            ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
        }
        Stop::Print(text) => match print(&text) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => report::report(&error.into()),
        },
        Stop::Usage { message, hint } => report::usage(&message, hint.as_deref()),
        Stop::Config(error) => report::report(&error.into()),
    }
}

/// What the version of ggrun leaves open: the engine under it.
fn engine_line() -> String {
    let caps = ggrun::model::caps();
    let patches = if caps.patches.is_empty() { "none".to_owned() } else { caps.patches.join(" ") };
    format!("llama.cpp {} ({}), patches: {patches}\n", caps.build, caps.backends.join(" "))
}
