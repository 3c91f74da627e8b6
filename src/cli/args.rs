//! The arguments of all commands.

use clap::{Parser, Subcommand};

use super::commands::{
    batch, bench, cache, chat, convert, demo, doctor, download, inspect, plan, run, verify, worker,
};
use super::options::log::LogArgs;

/// Turns AutoRound checkpoints into GGUF without changing a weight, proves it, and runs them through llama.cpp.
#[derive(Debug, Parser)]
#[command(name = "ggrun", version, propagate_version = true, arg_required_else_help = true)]
#[command(after_help = "\
Examples:
  ggrun demo                                  the whole way on the bundled model
  ggrun convert ./Qwen3-Next-80B-int4         a folder of safetensors to a GGUF beside you
  ggrun verify model.gguf ./Qwen3-Next-80B-int4
  ggrun plan -m model.gguf                    where it would go, and how fast it may answer
  ggrun run -m model.gguf -p \"What is 17 + 25?\"
  ggrun chat -hf ORG/NAME-GGUF:Q4_0           a GGUF of the hub, fetched once
  ggrun batch -m model.gguf questions.jsonl -o answers.jsonl

Exit codes: 0 success, 1 failure, 2 usage, 3 verification found a difference,
4 not enough memory or disk, 5 rows of a batch failed, 130 interrupted, 143 terminated.")]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) log: LogArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Convert(convert::Convert),
    Verify(verify::Verify),
    Inspect(inspect::Inspect),
    Run(Box<run::RunArgs>),
    Chat(Box<chat::ChatArgs>),
    Batch(Box<batch::BatchArgs>),
    Plan(Box<plan::Plan>),
    Bench(Box<bench::Bench>),
    Worker(worker::Worker),
    Download(download::Download),
    Cache(cache::CacheArgs),
    Doctor(doctor::Doctor),
    Demo(demo::Demo),
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
