//! Arguments of `ggrun cache`.

use std::path::PathBuf;

use clap::Subcommand;
use ggrun::hub::RepoName;
use ggrun::hub::cache::{Cache, root};

use crate::cli::ui::when::When;

/// Lists, verifies and removes downloaded repositories
///
/// This is the cache of Hugging Face's own tools: HF_HUB_CACHE, HF_HOME/hub or ~/.cache/huggingface/hub.
#[derive(Debug, clap::Args)]
#[expect(clippy::doc_markdown, reason = "shown as help, where names have no quotes")]
pub(crate) struct CacheArgs {
    #[command(subcommand)]
    pub(super) command: CacheCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum CacheCommand {
    Ls(Ls),
    Rm(Rm),
    Verify(VerifyCache),
    Prune(Prune),
}

/// Lists repositories with revisions, sizes and unfinished downloads
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ggrun cache ls
  ggrun cache ls Qwen/Qwen3-0.6B         list every file")]
pub(super) struct Ls {
    /// List every file of this repository
    pub(super) repo: Option<RepoName>,
    #[command(flatten)]
    pub(super) place: Place,
}

/// Removes repositories or single revisions, after confirmation
///
/// Files that another revision needs are kept.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ggrun cache rm Qwen/Qwen3-0.6B
  ggrun cache rm Qwen/Qwen3-0.6B@main --dry-run")]
pub(super) struct Rm {
    /// Repository or revision to remove; a revision is a branch, a tag, or a commit as `cache ls` prints it
    #[arg(required = true, value_name = "REPO[@REVISION]")]
    pub(super) repos: Vec<RepoName>,
    #[command(flatten)]
    pub(super) consent: Consent,
    #[command(flatten)]
    pub(super) place: Place,
}

/// Verifies every file against its hash
///
/// Exits with 3 if any differs. A file that was removed is downloaded again when it is needed.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ggrun cache verify
  ggrun cache verify Qwen/Qwen3-0.6B --delete")]
pub(super) struct VerifyCache {
    /// Verify only this repository or revision
    #[arg(value_name = "REPO[@REVISION]")]
    pub(super) repo: Option<RepoName>,
    /// Remove files that differ, after confirmation
    #[arg(long)]
    pub(super) delete: bool,
    /// Remove without confirmation
    #[arg(short, long, requires = "delete")]
    pub(super) yes: bool,
    /// Show progress on standard error: a bar on a terminal, otherwise a line for every 10 %
    #[arg(long, value_enum, default_value_t = When::Auto, value_name = "WHEN")]
    pub(super) progress: When,
    #[command(flatten)]
    pub(super) place: Place,
}

/// Removes unreferenced revisions and files, after confirmation
///
/// Revisions without a branch or a tag, files without a revision, and unfinished downloads. Downloads of a running process
/// are kept.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  ggrun cache prune --dry-run")]
pub(super) struct Prune {
    #[command(flatten)]
    pub(super) consent: Consent,
    #[command(flatten)]
    pub(super) place: Place,
}

#[derive(Debug, clap::Args)]
pub(super) struct Consent {
    /// Remove without confirmation
    #[arg(short, long)]
    pub(super) yes: bool,
    /// Print what would be removed and remove nothing
    #[arg(long)]
    pub(super) dry_run: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct Place {
    /// Use this cache instead of the shared one
    #[arg(long, value_name = "DIR")]
    pub(super) cache_dir: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

impl Place {
    pub(super) fn cache(&self) -> Cache {
        let usual = || root(|name| std::env::var_os(name), dirs::home_dir());
        Cache::at(self.cache_dir.clone().unwrap_or_else(usual))
    }
}
