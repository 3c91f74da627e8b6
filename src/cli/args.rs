//! Arguments as they are typed: inert, and the source of `--help`.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use gguf_export::ggml::GgmlType;

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
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Convert(Convert),
    Verify(Verify),
    Inspect(Inspect),
    Run(Box<super::run::RunArgs>),
    Chat(Box<super::chat::ChatArgs>),
    Batch(Box<super::batch::BatchArgs>),
    Plan(Box<super::plan::Plan>),
    Bench(Box<super::bench::Bench>),
    Worker(super::worker::Worker),
    Download(super::download::Download),
    Cache(super::cache::CacheArgs),
    Doctor(super::doctor::Doctor),
    Demo(Demo),
}

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
    #[arg(long, value_name = "SIZE", value_parser = size)]
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

/// Proves that a GGUF holds what its checkpoint says
///
/// Reads both ends with decoders that share no code with the converter and compares every value, every scale, the
/// metadata and the tokenizer. Exits with 3 and the first differences if there are any.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ggrun verify model.gguf ./checkpoint --receipt model.receipt.json
  ggrun verify model.gguf ORG/NAME                  a checkpoint of the hub
  ggrun verify ORG/NAME-GGUF:Q4_0 ./checkpoint      a GGUF of the hub
  ggrun verify model.gguf ORG/NAME --mtp-from ORG/ORIGINAL")]
pub(crate) struct Verify {
    /// The GGUF, or the first file of a split one, or ORG/NAME[@REVISION][:QUANT] of the hub
    pub(crate) gguf: PathBuf,
    /// The checkpoint it was made from: a folder, or ORG/NAME[@REVISION] of the hub
    pub(crate) source: PathBuf,
    /// Takes the prediction layer (mtp.*) to compare with from another repository, as `convert --mtp-from` did
    #[arg(long, value_name = "REPO")]
    pub(crate) mtp_from: Option<ggrun::hub::RepoName>,
    /// Accepts tensors that the file declares rounded, within the rounding of their type
    #[arg(long)]
    pub(crate) allow_rounding: bool,
    /// Writes what was compared and the SHA-256 of every file
    #[arg(long, value_name = "FILE")]
    pub(crate) receipt: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Describes a GGUF or a checkpoint
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ggrun inspect model.gguf
  ggrun inspect ./checkpoint --tensors
  ggrun inspect ORG/NAME-GGUF:Q4_0            of the hub: no weight is fetched
  ggrun inspect model.gguf --json | jq .metadata")]
pub(crate) struct Inspect {
    /// A GGUF, a checkpoint folder, or ORG/NAME[@REVISION][:QUANT] of the hub, of whose checkpoint or GGUF the headers are
    /// read
    pub(crate) path: PathBuf,
    /// Lists every tensor
    #[arg(long)]
    pub(crate) tensors: bool,
    /// Prints one JSON object, metadata and tensors included
    #[arg(long)]
    pub(crate) json: bool,
}

/// Converts the bundled checkpoint, proves it, and asks it three questions
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ggrun demo
  ggrun demo --checkpoint ./another-tiny-model --json")]
pub(crate) struct Demo {
    /// The checkpoint, instead of the bundled one
    #[arg(long, value_name = "DIR")]
    pub(crate) checkpoint: Option<PathBuf>,
    /// Prints one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Common {
    /// Threads; by default one for each core
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
    /// Prints one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    /// When to show progress on standard error: a bar on a terminal, else a line for every tenth
    #[arg(long, value_enum, default_value_t = When::Auto, value_name = "WHEN")]
    pub(crate) progress: When,
}

impl Common {
    pub(crate) fn threads(&self) -> usize {
        self.threads.map_or_else(cores, Into::into)
    }
}

/// Cores that this process may use.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, Into::into)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    /// If standard error is a terminal
    Auto,
    Always,
    Never,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum OutType {
    /// For each tensor the smallest type that holds it exactly
    Auto,
    F32,
    F16,
    Bf16,
    #[value(name = "q8_0")]
    Q8_0,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum FloatType {
    #[value(name = "q8_0")]
    Q8_0,
    Bf16,
    F16,
    F32,
}

impl From<FloatType> for GgmlType {
    fn from(ty: FloatType) -> Self {
        match ty {
            FloatType::Q8_0 => Self::Q8_0,
            FloatType::Bf16 => Self::BF16,
            FloatType::F16 => Self::F16,
            FloatType::F32 => Self::F32,
        }
    }
}

impl From<OutType> for gguf_export::plan::OutType {
    fn from(ty: OutType) -> Self {
        match ty {
            OutType::Auto => Self::Auto,
            OutType::F32 => Self::Only(GgmlType::F32),
            OutType::F16 => Self::Only(GgmlType::F16),
            OutType::Bf16 => Self::Only(GgmlType::BF16),
            OutType::Q8_0 => Self::Only(GgmlType::Q8_0),
        }
    }
}

/// `500M`, `8G`, `1000000`: powers of 1000, as llama.cpp's splitter counts.
fn size(text: &str) -> Result<u64, String> {
    let (number, unit) = match text.as_bytes().last().map(u8::to_ascii_uppercase) {
        Some(b'K') => (&text[..text.len() - 1], 1_000),
        Some(b'M') => (&text[..text.len() - 1], 1_000_000),
        Some(b'G') => (&text[..text.len() - 1], 1_000_000_000),
        _ => (text, 1),
    };
    let bytes = number.parse::<u64>().ok().and_then(|n| n.checked_mul(unit)).filter(|n| *n > 0);
    bytes.ok_or_else(|| "expected a number with K, M or G, such as 8G".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!(size("8G"), Ok(8_000_000_000));
        assert_eq!(size("500m"), Ok(500_000_000));
        assert_eq!(size("7"), Ok(7));
        for wrong in ["", "0", "G", "-1", "1.5G", "99999999999G"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }
}
