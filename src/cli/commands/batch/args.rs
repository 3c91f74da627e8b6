//! Arguments of `ggrun batch`.

use std::path::PathBuf;

use clap::ValueEnum;
use ggrun::batch::Order;

use super::progress;
use crate::cli::options::model::ModelArgs;
use crate::cli::options::placement::PlacementArgs;
use crate::cli::options::sampling::Sampling;
use crate::cli::options::template::TemplateArgs;

/// Answers every row of a JSONL file
///
/// Rows are requests in the form of OpenAI's batches, or bare objects with `messages` or `prompt`; answers have the form
/// of OpenAI's too. Every answer is on the disk before the next counts, and the same command goes on where it stopped:
/// rows are known by their id and a hash of their request. A row that is wrong fails alone.
#[derive(Debug, Clone, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
#[command(after_help = "\
Examples:
  ggrun batch -m model.gguf questions.jsonl -o answers.jsonl
  ggrun batch -m model.gguf questions.jsonl --dry-run          what is wrong, how many tokens, how long
  ggrun batch -m model.gguf big.jsonl.zst -o answers.jsonl --errors failed.jsonl --order input -np 8
  jq -c '{messages: [{role: \"user\", content: .question}]}' data.json | ggrun batch -m model.gguf - -o answers.jsonl

Exits with 5 if rows failed. Ctrl-C finishes the rows at work, a second one stops at once; both can be gone on from.")]
pub(crate) struct BatchArgs {
    /// The rows: a file, packed if it ends in .gz or .zst, or - for standard input
    #[arg(value_name = "IN.jsonl", required_unless_present = "list_devices")]
    pub(super) input: Option<PathBuf>,
    /// Where answers are appended; - is standard output, which is not gone on from
    #[arg(short, long, value_name = "OUT.jsonl", required_unless_present_any = ["dry_run", "list_devices"])]
    pub(super) output: Option<PathBuf>,
    #[command(flatten)]
    pub(super) model: ModelArgs,
    /// Another file for the rows that failed
    #[arg(long, value_name = "FILE")]
    pub(super) errors: Option<PathBuf>,
    /// In which order answers are written
    #[arg(long, value_enum, default_value_t = OrderArg::Completion)]
    pub(super) order: OrderArg,
    /// How often a row is asked again when the engine failed
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub(super) retry: u32,
    /// Asks rows again that an earlier run refused
    #[arg(long)]
    pub(super) retry_failed: bool,
    /// Goes on with another model, and keeps the answers of the first
    #[arg(long)]
    pub(super) allow_model_change: bool,
    /// Refuses rows with fields that nobody knows, instead of one warning
    #[arg(long)]
    pub(super) strict: bool,
    /// Answers one row at a time and reuses nothing: the same seed gives the same text whatever the other rows are
    #[arg(long, conflicts_with = "parallel")]
    pub(super) deterministic: bool,
    /// Looks at every row, counts tokens and estimates the time; answers none
    #[arg(long)]
    pub(super) dry_run: bool,
    /// How progress is shown on standard error
    #[arg(long, value_enum, default_value_t = progress::Kind::Auto)]
    pub(super) progress: progress::Kind,
    /// Prints one JSON object at the end
    #[arg(long)]
    pub(super) json: bool,
    /// Ends an answer after this many tokens, thinking included, where a row does not say; -1 leaves it to the model
    #[arg(short = 'n', long, value_name = "N", default_value_t = -1, allow_negative_numbers = true,
        visible_alias = "n-predict", alias = "max-tokens", env = "LLAMA_ARG_N_PREDICT")]
    pub(super) predict: i64,
    #[command(flatten)]
    pub(super) template: TemplateArgs,
    /// Tokens the model may think before it is made to answer; 0 is none, -1 as many as it likes
    #[arg(long, value_name = "N", default_value_t = -1, allow_negative_numbers = true,
        env = "LLAMA_ARG_THINK_BUDGET", value_parser = clap::value_parser!(i64).range(-1..=i64::from(u32::MAX)))]
    pub(super) reasoning_budget: i64,
    /// What it is made to think last then
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(super) reasoning_budget_message: Option<String>,
    /// A text that ends an answer and is not part of it; may be given more than once
    #[arg(short, long, value_name = "TEXT", allow_hyphen_values = true, visible_alias = "stop")]
    pub(super) reverse_prompt: Vec<String>,
    #[command(flatten)]
    pub(super) sampling: Sampling,
    #[command(flatten)]
    pub(crate) placement: PlacementArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum OrderArg {
    /// As they finish
    Completion,
    /// As the rows stand in the input
    Input,
}

impl From<OrderArg> for Order {
    fn from(order: OrderArg) -> Self {
        match order {
            OrderArg::Completion => Self::Completion,
            OrderArg::Input => Self::Input,
        }
    }
}
