//! Arguments of `ggrun run`.

use std::path::PathBuf;

use clap::ValueEnum;

use crate::cli::options::model::ModelArgs;
use crate::cli::options::placement::PlacementArgs;
use crate::cli::options::sampling::Sampling;
use crate::cli::options::template::TemplateArgs;
use crate::cli::options::words::{ModelWord, PromptWord};

/// Answers one question
///
/// The answer alone goes to standard output, calls of functions one a line; thinking and timings go to standard error.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "\
Examples:
  ggrun run -m model.gguf -p \"What is 17 + 25?\" --temp 0
  ggrun run -m model.gguf -f question.txt --thinking hide > answer.txt
  ggrun run -hf ORG/NAME-GGUF:Q4_0 -p \"Hello\"      a GGUF of the hub, fetched once
  echo \"What is the capital of Kenya?\" | ggrun run -m model.gguf --json
  ggrun run -m model.gguf -p \"Weather in Oslo?\" --tools tools.json --json | jq .tool_calls")]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) _model: ModelWord,
    #[command(flatten)]
    pub(crate) _prompt: PromptWord,
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    /// The question; without it and -f it is read from stdin.
    #[arg(short, long, value_name = "TEXT", allow_hyphen_values = true, conflicts_with = "file")]
    pub(crate) prompt: Option<String>,
    /// Read the question from a file.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Instructions for the model (also -sys).
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(crate) system_prompt: Option<String>,
    /// End after this many tokens, thinking included; -1 leaves it to the model.
    #[arg(short = 'n', long, value_name = "N", default_value_t = -1, allow_negative_numbers = true,
        visible_alias = "n-predict", alias = "max-tokens", env = "LLAMA_ARG_N_PREDICT")]
    pub(crate) predict: i64,
    #[command(flatten)]
    pub(crate) template: TemplateArgs,
    /// What becomes of the model's thinking, on stderr.
    #[arg(long, value_enum, default_value_t = Thinking::Dim)]
    pub(crate) thinking: Thinking,
    /// Tokens the model may think before it is made to answer; 0 is none, -1 as many as it likes.
    #[arg(long, value_name = "N", default_value_t = -1, allow_negative_numbers = true,
        env = "LLAMA_ARG_THINK_BUDGET", value_parser = clap::value_parser!(i64).range(-1..=i64::from(u32::MAX)))]
    pub(crate) reasoning_budget: i64,
    /// What it is made to think last then.
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(crate) reasoning_budget_message: Option<String>,
    /// A text that ends the answer and is not part of it; may be given more than once.
    #[arg(short, long, value_name = "TEXT", allow_hyphen_values = true, visible_alias = "stop")]
    pub(crate) reverse_prompt: Vec<String>,
    /// Print one JSON object when the answer is over.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) sampling: Sampling,
    #[command(flatten)]
    pub(crate) placement: PlacementArgs,
}

/// What becomes of the model's thinking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Thinking {
    /// Written like any text.
    Show,
    /// Written dim where the terminal can.
    Dim,
    /// Not written.
    Hide,
}
