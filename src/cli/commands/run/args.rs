//! Arguments of `ggrun run`.

use std::path::PathBuf;

use clap::ValueEnum;

use crate::cli::options::generation::GenerationArgs;
use crate::cli::options::model::ModelArgs;
use crate::cli::options::placement::PlacementArgs;
use crate::cli::options::words::{ModelWord, PromptWord};

/// Answers one question
///
/// Only the answer is written to standard output, function calls one per line; thinking and timings are written to
/// standard error.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "\
Examples:
  ggrun run -m model.gguf -p \"What is 17 + 25?\" --temp 0
  ggrun run -m model.gguf -f question.txt --thinking hide > answer.txt
  ggrun run -hf ORG/NAME-GGUF:Q4_0 -p \"Hello\"      a GGUF of the Hub, downloaded once
  echo \"What is the capital of Kenya?\" | ggrun run -m model.gguf --json
  ggrun run -m model.gguf -p \"Weather in Oslo?\" --tools tools.json --json | jq .tool_calls")]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) _model: ModelWord,
    #[command(flatten)]
    pub(crate) _prompt: PromptWord,
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    /// Set the question; without this and -f it is read from standard input
    #[arg(short, long, value_name = "TEXT", allow_hyphen_values = true, conflicts_with = "file")]
    pub(crate) prompt: Option<String>,
    /// Read the question from a file
    #[arg(short, long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Set the system prompt (also -sys)
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(crate) system_prompt: Option<String>,
    /// Set how thinking is shown on standard error
    #[arg(long, value_enum, default_value_t = Thinking::Dim)]
    pub(crate) thinking: Thinking,
    /// Print one JSON object at the end of the answer
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) generation: GenerationArgs,
    #[command(flatten)]
    pub(crate) placement: PlacementArgs,
}

/// How thinking is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Thinking {
    /// Like other text
    Show,
    /// Dimmed, on a terminal
    Dim,
    /// Not at all
    Hide,
}
