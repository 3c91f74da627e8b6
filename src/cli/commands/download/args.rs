//! Arguments of `ggrun download`.

use ggrun::hub::RepoName;

use super::glob::Glob;
use crate::cli::options::hub::JOBS;
use crate::cli::ui::when::When;

/// Fetches a model of Hugging Face's hub into the cache that its own tools share
///
/// Of a checkpoint what a conversion needs, else the files that are named. What is in the cache is not fetched again,
/// every file is held against the hash that the repository lists, and the same command goes on where it was interrupted.
/// Prints the folder in which the files have their own names.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ggrun download Intel/Qwen3-Next-80B-A3B-Thinking-int4-mixed-AutoRound
  ggrun download ORG/NAME@v1.0 --dry-run           the files, their sizes, and what is there already
  ggrun download ORG/NAME-GGUF model-Q4_0.gguf
  ggrun download ORG/NAME-GGUF --include \"*Q4_0*\"

HF_TOKEN or the file that `hf auth login` writes says who asks, HF_ENDPOINT where the hub is, HF_HOME or HF_HUB_CACHE
where files go; HF_HUB_OFFLINE=1 asks nobody.")]
pub(crate) struct Download {
    /// ORG/NAME, or ORG/NAME@REVISION: a branch, a tag or a commit
    #[arg(value_name = "REPO")]
    pub(super) repo: RepoName,
    /// Only these files
    #[arg(value_name = "FILE", conflicts_with_all = ["all", "include", "exclude"])]
    pub(super) files: Vec<String>,
    /// Every file of the repository
    #[arg(long)]
    pub(super) all: bool,
    /// Of all files those whose path fits, "*.gguf" or "q4/"; may be given again
    #[arg(long, value_name = "GLOB", conflicts_with = "all")]
    pub(super) include: Vec<Glob>,
    /// Of these, or of all, none whose path fits
    #[arg(long, value_name = "GLOB")]
    pub(super) exclude: Vec<Glob>,
    /// Files that are fetched at once
    #[arg(short, long, value_name = "N", default_value_t = JOBS, value_parser = clap::value_parser!(u8).range(1..=16))]
    pub(super) jobs: u8,
    /// Says what would be fetched, and fetches nothing but the index
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Another folder than the shared cache
    #[arg(long, value_name = "FOLDER")]
    pub(super) cache_dir: Option<std::path::PathBuf>,
    /// When progress is shown
    #[arg(long, value_enum, default_value_t = When::Auto)]
    pub(super) progress: When,
    /// Prints one JSON object
    #[arg(long)]
    pub(super) json: bool,
}
