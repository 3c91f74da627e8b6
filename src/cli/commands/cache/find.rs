//! Finds repositories and revisions in the cache.

use anyhow::bail;
use ggrun::hub::RepoName;
use ggrun::hub::cache::{Cache, MOST_ENTRIES, Repository};

/// A repository that must be there.
pub(super) fn repository(cache: &Cache, name: &RepoName) -> anyhow::Result<Repository> {
    let Some(found) = cache.repo(name).scan(MOST_ENTRIES) else {
        bail!("`{}` is not in the cache `{}`", name.id(), cache.root().display());
    };
    Ok(found)
}

/// The commit that a revision means among those there are: a branch or a tag, or the beginning of a commit.
pub(super) fn commit(repository: &Repository, revision: &str) -> anyhow::Result<String> {
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

pub(super) fn short(commit: &str) -> &str {
    commit.get(..SHORT).unwrap_or(commit)
}
