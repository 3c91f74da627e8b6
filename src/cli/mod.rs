//! The command line: the composition root, and the only module that prints.

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
use options::log::LogArgs;
use ui::out::{print, stdout};
use ui::style::Style;
use ui::{err, log};

/// Runs the command that the arguments name.
pub(crate) fn main() -> ExitCode {
    let args = match Args::try_parse_from(compat::rewrite(std::env::args_os())) {
        Ok(args) => args,
        Err(error) => return unparsed(&error),
    };
    match start_log(&args.log).and_then(|()| run(&args.command)) {
        Ok(outcome) => outcome.into(),
        Err(error) => report::report(&error),
    }
}

fn start_log(args: &LogArgs) -> anyhow::Result<()> {
    if args.is_quiet() {
        err::be_quiet();
    }
    log::start(args.filter()?, args.file()?);
    Ok(())
}

fn run(command: &Command) -> anyhow::Result<Outcome> {
    match command {
        Command::Convert(args) => convert::run(args),
        Command::Verify(args) => verify::run(args),
        Command::Inspect(args) => inspect::run(args),
        Command::Run(args) => run::run(args, &mut stdout(), &mut err::Notes).map(|()| Outcome::Success),
        Command::Chat(args) => chat::run(args, &mut stdout(), &mut err::Stderr).map(|()| Outcome::Success),
        Command::Batch(args) => batch::run(args),
        Command::Plan(args) => plan::run(args),
        Command::Bench(args) => bench::run(args),
        Command::Demo(args) => demo::run(args),
        Command::Worker(args) => worker::run(args),
        Command::Cache(args) => cache::run(args),
        Command::Doctor(args) => doctor::run(args),
        Command::Download(args) => download::run(args),
    }
}

/// Prints the help, the version, or the error in the arguments.
fn unparsed(error: &clap::Error) -> ExitCode {
    let text = |style| {
        let text = error.render();
        if style == Style::Rich { text.ansi().to_string() } else { text.to_string() }
    };
    if error.use_stderr() {
        err::line(text(Style::of_stderr()).trim_end_matches('\n'));
        return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
    }
    let version = error.kind() == clap::error::ErrorKind::DisplayVersion;
    let engine = if version { engine_line() } else { String::new() };
    match print(&(text(Style::of_stdout()) + &engine)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => report::report(&error.into()),
    }
}

/// The version of the engine.
fn engine_line() -> String {
    let caps = ggrun::model::caps();
    let patches = if caps.patches.is_empty() { "none".to_owned() } else { caps.patches.join(" ") };
    format!("llama.cpp {} ({}), patches: {patches}\n", caps.build, caps.backends.join(" "))
}
