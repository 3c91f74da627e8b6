//! Arguments of `ggrun convert`.

use std::fmt::Write as _;
use std::path::PathBuf;

use gguf_export::arch::FAMILIES;

use crate::cli::options::common::{Common, OUTPUT};
use crate::cli::options::size::some_size;
use crate::cli::options::types::{FloatType, OutType, ZeroPoints};

/// Converts a checkpoint to GGUF, lossless by default
///
/// Quantized weights keep the integers of the checkpoint: each tensor takes the smallest GGUF type that holds it
/// exactly. A tensor that no type holds exactly is an error that lists the choices. An interrupted conversion resumes
/// when the same command is run again.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ggrun convert ./checkpoint -o model.gguf
  ggrun convert ORG/NAME --delete-source-as-you-go
  ggrun convert ./checkpoint --dry-run              print the type and size of every tensor")]
#[command(after_long_help = examples_and_models())]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(crate) struct Convert {
    /// Checkpoint: a folder with config.json and safetensors files, or ORG/NAME[@REVISION] on the hub
    pub(crate) source: PathBuf,
    /// Write the GGUF to this file or folder [default: named after the model, in the current folder]
    #[arg(short, long, value_name = "FILE", help_heading = OUTPUT)]
    pub(crate) output: Option<PathBuf>,
    /// Set the type of matrices
    #[arg(long, value_enum, value_name = "TYPE", default_value_t = OutType::Auto, help_heading = TYPES)]
    pub(crate) outtype: OutType,
    /// Set the type of FP8 matrices [default: the smallest exact one]
    #[arg(long, value_enum, value_name = "TYPE", help_heading = TYPES)]
    pub(crate) fp8: Option<FloatType>,
    /// Set the type of the language-model head
    #[arg(long, value_enum, value_name = "TYPE", help_heading = TYPES, hide_short_help = true)]
    pub(crate) lm_head: Option<FloatType>,
    /// Set the type of the token embedding
    #[arg(long, value_enum, value_name = "TYPE", help_heading = TYPES, hide_short_help = true)]
    pub(crate) token_embd: Option<FloatType>,
    /// Set the type of the transposed keys of latent attention (`attn_k_b`) [default: the smallest exact one]
    #[arg(long, value_enum, value_name = "TYPE", help_heading = TYPES, hide_short_help = true)]
    pub(crate) mla_k: Option<FloatType>,
    /// Set the type of the MTP layer [default: the smallest exact one]
    #[arg(long, value_enum, value_name = "TYPE", help_heading = TYPES, hide_short_help = true)]
    pub(crate) mtp_type: Option<FloatType>,
    /// Round tensors that no type holds exactly
    #[arg(long, help_heading = TYPES)]
    pub(crate) allow_rounding: bool,
    /// Split the output into files of at most this size: 8G, 500M
    ///
    /// Units are binary: 8G is 8 GiB. llama-gguf-split uses powers of 1000.
    #[arg(long, value_name = "SIZE", value_parser = some_size, help_heading = OUTPUT)]
    pub(crate) split_max_size: Option<u64>,
    /// Set the name of the model in the file [default: from the checkpoint]
    #[arg(long, value_name = "NAME", help_heading = OUTPUT, hide_short_help = true)]
    pub(crate) name: Option<String>,
    /// Take the MTP layer (mtp.*) from this repository, if the checkpoint has none
    ///
    /// Only that layer is downloaded.
    #[arg(long, value_name = "REPO", help_heading = SOURCE, hide_short_help = true)]
    pub(crate) mtp_from: Option<ggrun::hub::RepoName>,
    /// Ignore a key of the quantization configuration that is refused; may be repeated
    ///
    /// Keys that are unknown may change the weights, so they are refused by name. NAME is the name in that message. The
    /// GGUF and the receipt of `ggrun verify` list the ignored keys.
    #[arg(long, value_name = "NAME", help_heading = CHECKPOINT, hide_short_help = true)]
    pub(crate) ignore_config_key: Vec<String>,
    /// Set how GPTQ zero points are stored [default: from the configuration]
    ///
    /// Needed for asymmetric weights whose configuration does not state it or contradicts itself.
    #[arg(long, value_enum, value_name = "VERSION", help_heading = CHECKPOINT, hide_short_help = true)]
    pub(crate) zero_points: Option<ZeroPoints>,
    /// Verify everything against the checkpoint while it is written
    #[arg(long)]
    pub(crate) prove: bool,
    /// Delete each downloaded shard when everything made from it is written and verified
    ///
    /// If types depend on values, all shards are downloaded first.
    #[arg(long, help_heading = SOURCE)]
    pub(crate) delete_source_as_you_go: bool,
    /// Download N shards at once
    #[arg(short, long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=16),
        help_heading = SOURCE, hide_short_help = true)]
    pub(crate) jobs: u8,
    /// Print the plan and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Replace an existing output
    #[arg(short, long, help_heading = OUTPUT)]
    pub(crate) force: bool,
    /// Start over instead of resuming an interrupted conversion
    #[arg(long, hide_short_help = true)]
    pub(crate) no_resume: bool,
    #[command(flatten)]
    pub(crate) common: Common,
}

const TYPES: &str = "Types";
const SOURCE: &str = "Download";
const CHECKPOINT: &str = "Checkpoint";

/// Examples, and the models that can be converted.
fn examples_and_models() -> String {
    let mut out = "\
Examples:
  ggrun convert ./checkpoint -o model.gguf
  ggrun convert Intel/Qwen3-Next-80B-A3B-Thinking-int4-mixed-AutoRound --delete-source-as-you-go
  ggrun convert ./checkpoint --dry-run              print the type and size of every tensor
  ggrun convert ./checkpoint --split-max-size 8G
  ggrun convert ./fp8-checkpoint --fp8 q8_0         choose a type for FP8

`model_type` in config.json, and the models that have it:"
        .to_owned();
    let rows = FAMILIES.map(|family| (family.model_types.join(", "), family.models));
    let width = rows.iter().map(|(types, _)| types.len()).max().unwrap_or(0);
    for (types, models) in rows {
        // Writing to a string cannot fail.
        _ = write!(out, "\n  {types:<width$}  {models}");
    }
    out
}
