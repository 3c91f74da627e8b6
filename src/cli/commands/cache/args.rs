//! Arguments of `ggrun cache`.

use std::path::PathBuf;

use clap::Subcommand;
use ggrun::hub::RepoName;
use ggrun::hub::cache::{Cache, root};

use crate::cli::ui::when::When;

/// Shows, checks and empties the cache of downloaded repositories
///
/// It is the cache that Hugging Face's own tools use: HF_HUB_CACHE, HF_HOME/hub or ~/.cache/huggingface/hub.
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

/// Lists repositories, their revisions, sizes, and what is unfinished
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ggrun cache ls
  ggrun cache ls Qwen/Qwen3-0.6B         file by file")]
pub(super) struct Ls {
    /// One repository, file by file
    pub(super) repo: Option<RepoName>,
    #[command(flatten)]
    pub(super) place: Place,
}

/// Removes repositories or single revisions, after a question
///
/// Files that another revision needs stay.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ggrun cache rm Qwen/Qwen3-0.6B
  ggrun cache rm Qwen/Qwen3-0.6B@main --dry-run")]
pub(super) struct Rm {
    /// What goes; a revision is a branch, a tag, or a commit as `cache ls` shows it
    #[arg(required = true, value_name = "REPO[@REVISION]")]
    pub(super) repos: Vec<RepoName>,
    #[command(flatten)]
    pub(super) consent: Consent,
    #[command(flatten)]
    pub(super) place: Place,
}

/// Compares every file with the hash that the hub gave it
///
/// Exits with 3 if one differs. What is wrong is fetched again once it is removed.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ggrun cache verify
  ggrun cache verify Qwen/Qwen3-0.6B --delete")]
pub(super) struct VerifyCache {
    /// One repository, or one revision of it
    #[arg(value_name = "REPO[@REVISION]")]
    pub(super) repo: Option<RepoName>,
    /// Removes files that differ, after a question
    #[arg(long)]
    pub(super) delete: bool,
    /// Removes them without a question
    #[arg(short, long, requires = "delete")]
    pub(super) yes: bool,
    /// When to show progress on standard error: a bar on a terminal, else a line for every tenth
    #[arg(long, value_enum, default_value_t = When::Auto, value_name = "WHEN")]
    pub(super) progress: When,
    #[command(flatten)]
    pub(super) place: Place,
}

/// Removes what nothing names, after a question
///
/// Revisions that no branch or tag leads to, files that no revision needs, and unfinished downloads. What another
/// process downloads is left alone.
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
    /// Removes without a question
    #[arg(short, long)]
    pub(super) yes: bool,
    /// Says what would go, and removes nothing
    #[arg(long)]
    pub(super) dry_run: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct Place {
    /// Another cache
    #[arg(long, value_name = "DIR")]
    pub(super) cache_dir: Option<PathBuf>,
    /// Prints one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

impl Place {
    pub(super) fn cache(&self) -> Cache {
        let usual = || root(|name| std::env::var_os(name), dirs::home_dir());
        Cache::at(self.cache_dir.clone().unwrap_or_else(usual))
    }
}
