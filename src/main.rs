//! The `ggrun` command.

mod cli;

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Parser as _;

/// Runs GGUF models through llama.cpp.
#[derive(Debug, clap::Parser)]
#[command(version)]
enum Ggrun {
    /// Answer one question.
    Run(cli::run::RunArgs),
}

fn main() -> ExitCode {
    let Ggrun::Run(args) = Ggrun::parse_from(cli::args_compat::rewrite(std::env::args_os()));
    match cli::run::run(&args, &mut io::stdout(), &mut io::stderr()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<cli::interrupt::Interrupted>() => ExitCode::from(130),
        Err(error) => {
            // There is nowhere else to say it.
            drop(writeln!(io::stderr(), "error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
