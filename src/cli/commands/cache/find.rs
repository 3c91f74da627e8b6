//! Finds repositories and revisions in the cache.

use anyhow::bail;
use ggrun::hub::RepoName;
use ggrun::hub::cache::{Cache, MOST_ENTRIES, Repository};

/// A repository of the cache.
pub(super) fn repository(cache: &Cache, name: &RepoName) -> anyhow::Result<Repository> {
    let Some(found) = cache.repo(name).scan(MOST_ENTRIES) else {
        bail!("`{}` is not in the cache `{}`", name.id(), cache.root().display());
    };
    Ok(found)
}

/// The commit of a revision in the cache: a branch, a tag, or the beginning of a commit.
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
        [] => {
            bail!("`{}@{revision}` is not in the cache; `ggrun cache ls` lists its contents", repository.name)
        }
        _ => bail!("`{revision}` matches several commits of `{1}`: {0}", fitting.join(", "), repository.name),
    }
}

/// The number of a commit's digits that are shown, and the minimum that selects one.
const SHORT: usize = 8;

pub(super) fn short(commit: &str) -> &str {
    commit.get(..SHORT).unwrap_or(commit)
}
