//! Arguments of `ggrun download`.

use ggrun::hub::RepoName;

use super::glob::Glob;
use crate::cli::options::common::OUTPUT;
use crate::cli::options::hub::JOBS;
use crate::cli::ui::when::When;

/// Downloads a model from the Hugging Face Hub into the cache that its own tools use
///
/// By default, downloads the files of a checkpoint that a conversion needs. Every file is checked against its hash in
/// the repository, and an interrupted download resumes when the same command is run again. Prints the folder of the
/// files.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ggrun download Intel/Qwen3-Next-80B-A3B-Thinking-int4-mixed-AutoRound
  ggrun download ORG/NAME@v1.0 --dry-run           print files, sizes and what is cached
  ggrun download ORG/NAME-GGUF model-Q4_0.gguf
  ggrun download ORG/NAME-GGUF --include \"*Q4_0*\"
  ggrun download ORG/NAME --local-dir model        plain files in a folder

Environment: HF_TOKEN (or the file that `hf auth login` writes), HF_ENDPOINT, HF_HOME, HF_HUB_CACHE, HF_HUB_OFFLINE=1")]
pub(crate) struct Download {
    /// ORG/NAME[@REVISION], or its address; a revision is a branch, a tag or a commit
    #[arg(value_name = "REPO")]
    pub(super) repo: RepoName,
    /// Download only these files
    #[arg(value_name = "FILE", conflicts_with_all = ["all", "include", "exclude"])]
    pub(super) files: Vec<String>,
    /// Download every file of the repository
    #[arg(long, help_heading = FILES)]
    pub(super) all: bool,
    /// Download files whose path matches: "*.gguf", "q4/"; repeatable
    #[arg(long, value_name = "GLOB", conflicts_with = "all", help_heading = FILES)]
    pub(super) include: Vec<Glob>,
    /// Skip files whose path matches; repeatable
    #[arg(long, value_name = "GLOB", help_heading = FILES)]
    pub(super) exclude: Vec<Glob>,
    /// Download N files at once
    #[arg(short, long, value_name = "N", default_value_t = JOBS, value_parser = clap::value_parser!(u8).range(1..=16))]
    pub(super) jobs: u8,
    /// Print what would be downloaded and download only the index
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Use this folder instead of the shared cache
    #[arg(long, value_name = "DIR")]
    pub(super) cache_dir: Option<std::path::PathBuf>,
    /// Write plain files to this folder, which other commands accept as a checkpoint; files in the cache are copied
    #[arg(long, value_name = "DIR")]
    pub(super) local_dir: Option<std::path::PathBuf>,
    /// Show progress on standard error: a bar on a terminal, otherwise a line for every 10 %
    #[arg(long, value_enum, default_value_t = When::Auto, value_name = "WHEN", help_heading = OUTPUT)]
    pub(super) progress: When,
    /// Print one JSON object
    #[arg(long, help_heading = OUTPUT)]
    pub(super) json: bool,
}

const FILES: &str = "Files";
