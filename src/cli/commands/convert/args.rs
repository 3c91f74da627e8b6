//! Arguments of `ggrun convert`.

use std::path::PathBuf;

use crate::cli::options::common::Common;
use crate::cli::options::types::{FloatType, OutType};
use crate::cli::options::size::some_size;

/// Converts a checkpoint to GGUF, lossless by default
///
/// Codes travel, floats do not: each tensor takes the smallest GGUF type that holds it exactly. Where no type
/// does, the conversion is refused and says what the choices are.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ggrun convert ./checkpoint -o model.gguf
  ggrun convert Intel/Qwen3-Next-80B-A3B-Thinking-int4-mixed-AutoRound --delete-source-as-you-go
  ggrun convert ./checkpoint --dry-run              what would be written, tensor by tensor
  ggrun convert ./checkpoint --split-max-size 8G
  ggrun convert ./fp8-checkpoint --fp8 q8_0         FP8 has no small exact type: choose one

An interrupted conversion goes on where it stopped when the same command is given again.")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(crate) struct Convert {
    /// Folder with config.json and safetensors files, or a repository of the hub: ORG/NAME, ORG/NAME@REVISION
    pub(crate) source: PathBuf,
    /// The GGUF to write, or a folder for it; by default named after the model, in the current folder
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Type of the matrices
    #[arg(long, value_enum, default_value_t = OutType::Auto)]
    pub(crate) outtype: OutType,
    /// Type of FP8 matrices, instead of the smallest exact one
    #[arg(long, value_enum, value_name = "TYPE")]
    pub(crate) fp8: Option<FloatType>,
    /// Type of the language-model head
    #[arg(long, value_enum, value_name = "TYPE")]
    pub(crate) lm_head: Option<FloatType>,
    /// Type of the token embedding
    #[arg(long, value_enum, value_name = "TYPE")]
    pub(crate) token_embd: Option<FloatType>,
    /// Rounds what no type holds exactly, instead of refusing
    #[arg(long)]
    pub(crate) allow_rounding: bool,
    /// Splits the output into files of at most this size (500M, 8G)
    #[arg(long, value_name = "SIZE", value_parser = some_size)]
    pub(crate) split_max_size: Option<u64>,
    /// Name of the model in the file, instead of the one the folder suggests
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Takes the prediction layer (mtp.*) from another repository, where the source has none; only that is fetched
    #[arg(long, value_name = "REPO")]
    pub(crate) mtp_from: Option<ggrun::hub::RepoName>,
    /// Type of the prediction layer, instead of the smallest exact one
    #[arg(long, value_enum, value_name = "TYPE")]
    pub(crate) mtp_type: Option<FloatType>,
    /// Reads everything back and compares it with the source while it is written
    #[arg(long)]
    pub(crate) prove: bool,
    /// Deletes each shard of a repository when everything made from it is written and proven; where types depend on
    /// values, all shards come first
    #[arg(long)]
    pub(crate) delete_source_as_you_go: bool,
    /// Shards of a repository that are fetched at once
    #[arg(short, long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=16))]
    pub(crate) jobs: u8,
    /// Prints the plan and writes nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Replaces an existing output
    #[arg(short, long)]
    pub(crate) force: bool,
    /// Starts anew instead of going on from an interrupted conversion
    #[arg(long)]
    pub(crate) no_resume: bool,
    #[command(flatten)]
    pub(crate) common: Common,
}
