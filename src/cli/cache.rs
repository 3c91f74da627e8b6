//! `ggrun cache`: what is in the cache that Hugging Face's tools share, whether it is whole, and what may go.

mod list;
mod remove;
mod verify;

use std::path::PathBuf;

use anyhow::bail;
use clap::Subcommand;
use ggrun::hub::RepoName;
use ggrun::hub::cache::{Cache, MOST_ENTRIES, Repository, root};

use super::Outcome;
use super::args::When;

/// Shows, checks and empties the cache of downloaded repositories
///
/// It is the cache that Hugging Face's own tools use: HF_HUB_CACHE, HF_HOME/hub or ~/.cache/huggingface/hub.
#[derive(Debug, clap::Args)]
#[expect(clippy::doc_markdown, reason = "shown as help, where names have no quotes")]
pub(crate) struct CacheArgs {
    #[command(subcommand)]
    command: CacheCommand,
}

#[derive(Debug, Subcommand)]
enum CacheCommand {
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
struct Ls {
    /// One repository, file by file
    repo: Option<RepoName>,
    #[command(flatten)]
    place: Place,
}

/// Removes repositories or single revisions, after a question
///
/// Files that another revision needs stay.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ggrun cache rm Qwen/Qwen3-0.6B
  ggrun cache rm Qwen/Qwen3-0.6B@main --dry-run")]
struct Rm {
    /// What goes; a revision is a branch, a tag, or a commit as `cache ls` shows it
    #[arg(required = true, value_name = "REPO[@REVISION]")]
    repos: Vec<RepoName>,
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    place: Place,
}

/// Compares every file with the hash that the hub gave it
///
/// Exits with 3 if one differs. What is wrong is fetched again once it is removed.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ggrun cache verify
  ggrun cache verify Qwen/Qwen3-0.6B --delete")]
struct VerifyCache {
    /// One repository, or one revision of it
    #[arg(value_name = "REPO[@REVISION]")]
    repo: Option<RepoName>,
    /// Removes files that differ, after a question
    #[arg(long)]
    delete: bool,
    /// Removes them without a question
    #[arg(short, long, requires = "delete")]
    yes: bool,
    /// When to show progress on standard error: a bar on a terminal, else a line for every tenth
    #[arg(long, value_enum, default_value_t = When::Auto, value_name = "WHEN")]
    progress: When,
    #[command(flatten)]
    place: Place,
}

/// Removes what nothing names, after a question
///
/// Revisions that no branch or tag leads to, files that no revision needs, and unfinished downloads. What another
/// process downloads is left alone.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  ggrun cache prune --dry-run")]
struct Prune {
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, clap::Args)]
struct Consent {
    /// Removes without a question
    #[arg(short, long)]
    yes: bool,
    /// Says what would go, and removes nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, clap::Args)]
struct Place {
    /// Another cache
    #[arg(long, value_name = "DIR")]
    cache_dir: Option<PathBuf>,
    /// Prints one JSON object
    #[arg(long)]
    json: bool,
}

impl Place {
    fn cache(&self) -> Cache {
        let usual = || root(|name| std::env::var_os(name), dirs::home_dir());
        Cache::at(self.cache_dir.clone().unwrap_or_else(usual))
    }
}

pub(crate) fn run(args: &CacheArgs) -> anyhow::Result<Outcome> {
    match &args.command {
        CacheCommand::Ls(args) => list::run(args),
        CacheCommand::Rm(args) => remove::rm(args),
        CacheCommand::Verify(args) => verify::run(args),
        CacheCommand::Prune(args) => remove::prune(args),
    }
}

/// A repository that must be there.
fn repository(cache: &Cache, name: &RepoName) -> anyhow::Result<Repository> {
    let Some(found) = cache.repo(name).scan(MOST_ENTRIES) else {
        bail!("`{}` is not in the cache `{}`", name.id(), cache.root().display());
    };
    Ok(found)
}

/// The commit that a revision means among those there are: a branch or a tag, or the beginning of a commit.
fn commit(repository: &Repository, revision: &str) -> anyhow::Result<String> {
    if let Some(commit) = repository.refs.get(revision) {
        return Ok(commit.clone());
    }
    let fits =
        |commit: &&str| *commit == revision || (revision.len() >= SHORT && commit.starts_with(revision));
    let fitting: Vec<&str> =
        repository.snapshots.iter().map(|snapshot| snapshot.commit.as_str()).filter(fits).collect();
    match fitting[..] {
        [one] => Ok(one.to_owned()),
        [] => bail!("`{}@{revision}` is not in the cache; `ggrun cache ls` shows what is", repository.name),
        _ => bail!("`{revision}` may be any of {} of `{}`", fitting.join(", "), repository.name),
    }
}

/// Digits of a commit that are shown, and that are enough to name it.
const SHORT: usize = 8;

fn short(commit: &str) -> &str {
    commit.get(..SHORT).unwrap_or(commit)
}
