//! The arguments of all commands.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use super::commands::{
    batch, bench, cache, chat, completions, convert, demo, doctor, download, inspect, man, plan, run, serve,
    verify, worker,
};
use super::options::common::OUTPUT;
use super::options::log::LogArgs;
use super::options::placement::PlacementArgs;
use super::options::values::truth;
use super::ui::when::When;

/// Converts AutoRound checkpoints to GGUF without changing a weight, verifies them, and runs them with llama.cpp.
#[derive(Debug, Parser)]
#[command(
    name = "ggrun",
    version,
    propagate_version = true,
    arg_required_else_help = true,
    args_override_self = true
)]
#[command(after_help = "\
Examples:
  ggrun demo                                  convert, verify and run the bundled model
  ggrun convert ./Qwen3-Next-80B-int4         a folder of safetensors files
  ggrun verify model.gguf ./Qwen3-Next-80B-int4
  ggrun plan model.gguf                       memory, placement and expected speed
  ggrun run model.gguf \"What is 17 + 25?\"
  ggrun chat ORG/NAME-GGUF:Q4_0               a GGUF from the hub, downloaded once
  ggrun batch -m model.gguf questions.jsonl -o answers.jsonl
  ggrun serve model.gguf                      a page to chat in, and APIs for programs

Options can be set in ~/.config/ggrun/config.toml; `ggrun COMMAND --print-config` prints each value and its origin.

Exit codes: 0 success, 1 failure, 2 usage, 3 verification found a difference,
4 not enough memory or disk space, 5 requests of a batch failed, 130 interrupted, 143 terminated.")]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) log: LogArgs,
    #[command(flatten)]
    pub(crate) everywhere: Everywhere,
}

/// Options of every command.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Configuration")]
#[expect(clippy::doc_markdown, reason = "shown as help, where names have no quotes")]
pub(crate) struct Everywhere {
    /// Read options from this file instead of the user's configuration file
    ///
    /// The default is $XDG_CONFIG_HOME/ggrun/config.toml, or ~/.config/ggrun/config.toml; GGRUN_CONFIG names another.
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true)]
    pub(crate) config: Option<PathBuf>,
    /// Read no configuration file
    #[arg(long, global = true, conflicts_with = "config", hide_short_help = true)]
    pub(crate) no_config: bool,
    /// Use color: auto (on a terminal), always or never (also -co)
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", value_parser = colour,
        help_heading = OUTPUT, hide_short_help = true)]
    pub(crate) color: When,
    /// Print every option of this command with its value and origin, and exit
    #[arg(long, global = true, hide_short_help = true)]
    pub(crate) print_config: bool,
}

/// llama.cpp's words, and ours.
pub(crate) fn colour(text: &str) -> Result<When, String> {
    match (text, truth(text)) {
        ("auto", _) => Ok(When::Auto),
        ("always", _) | (_, Ok(true)) => Ok(When::Always),
        ("never", _) | (_, Ok(false)) => Ok(When::Never),
        _ => Err("expected auto, always or never".to_owned()),
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Convert(convert::Convert),
    Verify(verify::Verify),
    Inspect(inspect::Inspect),
    Run(Box<run::RunArgs>),
    Chat(Box<chat::ChatArgs>),
    Batch(Box<batch::BatchArgs>),
    Serve(Box<serve::ServeArgs>),
    Plan(Box<plan::Plan>),
    Bench(Box<bench::Bench>),
    Worker(worker::Worker),
    Download(download::Download),
    Cache(cache::CacheArgs),
    Doctor(doctor::Doctor),
    Demo(demo::Demo),
    Completions(completions::Completions),
    Man(man::ManPages),
}

impl Command {
    /// Whether it writes JSON objects on standard error.
    pub(crate) fn writes_json(&self) -> bool {
        match self {
            Self::Batch(args) => args.writes_json(),
            Self::Serve(args) => args.writes_json(),
            _ => false,
        }
    }

    /// The options of a command that places a model.
    pub(crate) fn placement(&self) -> Option<&PlacementArgs> {
        match self {
            Self::Run(args) => Some(&args.placement),
            Self::Chat(args) => Some(&args.placement),
            Self::Batch(args) => Some(&args.placement),
            Self::Serve(args) => Some(&args.placement),
            Self::Plan(args) => Some(&args.placement),
            Self::Bench(args) => Some(&args.placement),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Args::command().debug_assert();
    }
}
