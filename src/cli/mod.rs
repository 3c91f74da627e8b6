//! The command line: the composition root, and the only module that prints.

mod abort;
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

use std::ffi::OsString;
use std::process::ExitCode;

use clap::CommandFactory as _;

use args::{Args, Command};
use commands::{
    batch, bench, cache, chat, completions, convert, demo, doctor, download, inspect, man, plan, run, serve,
    verify, worker,
};
use exit::Outcome;
use options::log::LogArgs;
use parse::{Parsed, Stop, parse};
use shared::devices::list_devices;
use ui::out::{print, print_coloured, stdout};
use ui::style::Style;
use ui::when::When;
use ui::{err, log, style};

/// Runs the command that the arguments name.
pub(crate) fn main() -> ExitCode {
    abort::prepare();
    let parsed = match parse(std::env::args_os(), &|name| std::env::var_os(name)) {
        Ok(parsed) => parsed,
        Err(stop) => {
            apply_typed(&std::env::args_os().collect::<Vec<_>>());
            return stopped(stop);
        }
    };
    style::colour(parsed.args.everywhere.color);
    let done = start(&parsed).and_then(|()| run(&parsed.args.command));
    match done {
        Ok(outcome) => outcome.into(),
        Err(error) => report::report(&error),
    }
}

/// Applies the options of every command.
fn start(parsed: &Parsed) -> anyhow::Result<()> {
    if parsed.args.command.writes_json() {
        err::use_json();
    }
    start_log(&parsed.args.log)?;
    for note in &parsed.notes {
        err::remark(note);
    }
    parsed.args.command.placement().map_or(Ok(()), |placement| placement.threads.settle())
}

fn start_log(args: &LogArgs) -> anyhow::Result<()> {
    if args.is_quiet() {
        err::be_quiet();
    }
    log::start(args.filter()?, args.file()?);
    Ok(())
}

fn run(command: &Command) -> anyhow::Result<Outcome> {
    if let Some(placement) = command.placement().filter(|placement| placement.list_devices) {
        print(&list_devices(placement)?)?;
        return Ok(Outcome::Success);
    }
    match command {
        Command::Convert(args) => convert::run(args),
        Command::Verify(args) => verify::run(args),
        Command::Inspect(args) => inspect::run(args),
        Command::Run(args) => run::run(args, &mut stdout(), &mut err::notes()).map(|()| Outcome::Success),
        Command::Chat(args) => chat::run(args, &mut stdout(), &mut err::stderr()).map(|()| Outcome::Success),
        Command::Batch(args) => batch::run(args),
        Command::Serve(args) => serve::run(args),
        Command::Plan(args) => plan::run(args),
        Command::Bench(args) => bench::run(args),
        Command::Demo(args) => demo::run(args),
        Command::Worker(args) => worker::run(args),
        Command::Cache(args) => cache::run(args),
        Command::Doctor(args) => doctor::run(args),
        Command::Download(args) => download::run(args),
        Command::Completions(args) => completions::run(args, Args::command()),
        Command::Man(args) => man::run(args, Args::command()),
    }
}

/// Applies the form of standard error that is typed on a command line that runs no command.
fn apply_typed(arguments: &[OsString]) {
    let mut root = Args::command();
    root.build();
    let line = compat::lex(&root, arguments);
    let colour = line.last("color", arguments);
    style::colour(colour.and_then(|text| args::colour(text.to_str()?).ok()).unwrap_or(When::Auto));
    // Other commands' `--progress` takes no `json`.
    let is_json = line.last("progress", arguments).is_some_and(|form| form == "json");
    if is_json || line.options("log_json").next().is_some() {
        err::use_json();
    }
}

/// Prints the help, the version, or the error in the arguments.
fn unparsed(error: &clap::Error) -> ExitCode {
    let text = |style| {
        let text = error.render();
        if style == Style::Rich { text.ansi().to_string() } else { text.to_string() }
    };
    if error.use_stderr() && err::is_json() {
        let text = text(Style::Plain);
        let (message, hint) = text.trim_end().split_once("\n\n").unwrap_or((text.trim_end(), ""));
        let message = message.strip_prefix("error: ").unwrap_or(message);
        return report::usage(message, Some(hint).filter(|hint| !hint.is_empty()));
    }
    if error.use_stderr() {
        err::coloured(text(Style::of_stderr()).trim_end_matches('\n'));
        return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
    }
    let version = error.kind() == clap::error::ErrorKind::DisplayVersion;
    let engine = if version { engine_line() } else { String::new() };
    printed(print_coloured(&(text(Style::of_stdout()) + &engine)))
}

/// Ends before a command is run.
fn stopped(stop: Stop) -> ExitCode {
    match stop {
        Stop::Clap(error) => unparsed(&error),
        Stop::Print(text) => printed(print(&text)),
        Stop::Usage { message, hint } => report::usage(&message, hint.as_deref()),
        Stop::Config(error) => report::report(&error.into()),
    }
}

/// The exit code after text that no command makes.
fn printed(result: std::io::Result<()>) -> ExitCode {
    match result {
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
