//! Arguments of `ggrun batch`.

use std::path::PathBuf;

use clap::ValueEnum;
use ggrun::batch::Order;

use super::progress;
use crate::cli::options::generation::GenerationArgs;
use crate::cli::options::model::ModelArgs;
use crate::cli::options::placement::PlacementArgs;

/// Answers every row of a JSONL file
///
/// Rows are requests in the form of OpenAI's batches, or bare objects with `messages` or `prompt`; answers have OpenAI's
/// form too. Every answer is synced to the disk before it counts. Run the same command to resume: rows are recognised by
/// their id and a hash of their request. A row with an error fails alone.
#[derive(Debug, Clone, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
#[command(after_help = "\
Examples:
  ggrun batch -m model.gguf questions.jsonl -o answers.jsonl
  ggrun batch -m model.gguf questions.jsonl --dry-run          show errors, tokens and an estimate of the time
  ggrun batch -m model.gguf big.jsonl.zst -o answers.jsonl --errors failed.jsonl --order input -np 8
  jq -c '{messages: [{role: \"user\", content: .question}]}' data.json | ggrun batch -m model.gguf - -o answers.jsonl

Exits with 5 if rows failed. Ctrl-C finishes the rows that have begun, a second one stops at once; both can be
resumed.")]
pub(crate) struct BatchArgs {
    /// Read rows from this file, compressed if its name ends in .gz or .zst; - is standard input
    #[arg(value_name = "IN.jsonl", required_unless_present = "list_devices")]
    pub(super) input: Option<PathBuf>,
    /// Append answers to this file; - is standard output, which cannot be resumed
    #[arg(short, long, value_name = "OUT.jsonl", required_unless_present_any = ["dry_run", "list_devices"])]
    pub(super) output: Option<PathBuf>,
    #[command(flatten)]
    pub(super) model: ModelArgs,
    /// Write rows that failed to another file
    #[arg(long, value_name = "FILE")]
    pub(super) errors: Option<PathBuf>,
    /// Set the order of answers
    #[arg(long, value_enum, default_value_t = OrderArg::Completion)]
    pub(super) order: OrderArg,
    /// Retry a row N times when the engine fails
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub(super) retry: u32,
    /// Retry rows that an earlier run refused
    #[arg(long)]
    pub(super) retry_failed: bool,
    /// Resume with another model, and keep the answers of the first
    #[arg(long)]
    pub(super) allow_model_change: bool,
    /// Refuse rows with unknown fields, instead of a warning
    #[arg(long)]
    pub(super) strict: bool,
    /// Answer one row at a time and reuse nothing, so that a seed gives the same text whatever the other rows are
    #[arg(long, conflicts_with = "parallel")]
    pub(super) deterministic: bool,
    /// Check every row, count tokens and estimate the time, without answers
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Set how progress is shown on standard error
    #[arg(long, value_enum, default_value_t = progress::Kind::Auto)]
    pub(super) progress: progress::Kind,
    /// Print one JSON object at the end
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) generation: GenerationArgs,
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
