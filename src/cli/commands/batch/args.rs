//! Arguments of `ggrun batch`.

use std::path::PathBuf;

use clap::ValueEnum;
use ggrun::batch::Order;

use super::progress;
use super::table::TableArgs;
use crate::cli::options::common::OUTPUT;
use crate::cli::options::generation::GenerationArgs;
use crate::cli::options::model::ModelArgs;
use crate::cli::options::placement::PlacementArgs;
use crate::cli::options::prompt::{EscapeArgs, SystemArgs, TemplateArgs};

/// Answers every row of a JSONL or CSV file
///
/// Rows are OpenAI batch requests, bare objects with `messages` or `prompt`, or records of a table; answers have
/// OpenAI's format. Every answer is synced to the disk before it counts. Run the same command to resume: rows are
/// recognized by their id and a hash of their request. A row with an error does not stop the others.
#[derive(Debug, Clone, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
#[command(after_help = "\
Examples:
  ggrun batch -m model.gguf questions.jsonl -o answers.jsonl
  ggrun batch -m model.gguf prompts.csv --prompt-column text --id-column id
  ggrun batch -m model.gguf questions.jsonl --dry-run       print errors, tokens and expected time")]
#[command(after_long_help = "\
Examples:
  ggrun batch -m model.gguf questions.jsonl -o answers.jsonl
  ggrun batch -m model.gguf questions.jsonl --dry-run          print errors, tokens and an estimate of the time
  ggrun batch -m model.gguf prompts.csv --id-column id --template 'Translate into {lang}: {text}'
  ggrun batch -m model.gguf big.jsonl.zst -o answers.jsonl --errors failed.jsonl --order input -np 8
  jq -c '{messages: [{role: \"user\", content: .question}]}' data.json | ggrun batch -m model.gguf - -o answers.jsonl

Exits with 5 if rows failed. Ctrl-C finishes the rows that have begun, a second one stops at once; both can be
resumed.")]
pub(crate) struct BatchArgs {
    /// Requests as JSON lines or as a table (.csv, .tsv); - is standard input
    ///
    /// The file may be compressed: gzip and zstd are recognized by their first bytes.
    #[arg(value_name = "IN", required_unless_present = "list_devices")]
    pub(super) input: Option<PathBuf>,
    /// Append answers to this file [default: IN.answers.jsonl]
    ///
    /// - is standard output. A batch that writes there cannot be resumed.
    #[arg(short, long, value_name = "OUT.jsonl", help_heading = OUTPUT)]
    pub(super) output: Option<PathBuf>,
    #[command(flatten)]
    pub(super) table: TableArgs,
    #[command(flatten)]
    pub(super) model: ModelArgs,
    #[command(flatten)]
    pub(super) system: SystemArgs,
    #[command(flatten)]
    pub(super) template: TemplateArgs,
    #[command(flatten)]
    pub(super) escape: EscapeArgs,
    /// Write failed rows to another file
    #[arg(long, value_name = "FILE", help_heading = OUTPUT, hide_short_help = true)]
    pub(super) errors: Option<PathBuf>,
    /// Write answers in this order
    #[arg(long, value_enum, value_name = "ORDER", default_value_t = OrderArg::Completion, help_heading = OUTPUT,
        hide_short_help = true)]
    pub(super) order: OrderArg,
    /// Retry a row N times when the engine fails
    #[arg(long, value_name = "N", default_value_t = 2, help_heading = RUN, hide_short_help = true)]
    pub(super) retry: u32,
    /// Retry rows that an earlier run refused
    #[arg(long, help_heading = RUN, hide_short_help = true)]
    pub(super) retry_failed: bool,
    /// Answer rows again whose request or options changed since an earlier run answered them
    ///
    /// Without it, the run asks on a terminal, and otherwise ends with an error.
    #[arg(long, help_heading = RUN, hide_short_help = true)]
    pub(super) rerun_changed: bool,
    /// Resume with another model, and keep the answers of the first
    #[arg(long, help_heading = RUN, hide_short_help = true)]
    pub(super) allow_model_change: bool,
    /// Refuse rows with unknown fields or unsupported values, instead of printing a warning
    #[arg(long, help_heading = RUN, hide_short_help = true)]
    pub(super) strict: bool,
    /// Answer one row at a time and reuse nothing
    ///
    /// With a seed, the text of a row then does not depend on the other rows.
    #[arg(long, conflicts_with = "parallel", help_heading = RUN, hide_short_help = true)]
    pub(super) deterministic: bool,
    /// Check every row and estimate tokens and time, without answering
    #[arg(long, help_heading = RUN)]
    pub(super) dry_run: bool,
    /// Show progress on standard error in this way
    #[arg(long, value_enum, value_name = "HOW", default_value_t = progress::Kind::Auto, help_heading = OUTPUT,
        hide_short_help = true)]
    pub(super) progress: progress::Kind,
    /// Print one JSON object at the end
    #[arg(long, help_heading = OUTPUT)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) generation: GenerationArgs,
    #[command(flatten)]
    pub(crate) placement: PlacementArgs,
}

impl BatchArgs {
    /// Whether it writes JSON objects on standard error.
    pub(crate) fn writes_json(&self) -> bool {
        self.progress == progress::Kind::Json
    }
}

const RUN: &str = "Run";

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum OrderArg {
    /// As they finish
    Completion,
    /// In the order of the input
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
