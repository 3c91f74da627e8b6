//! Where something is that a command reads: a path, or a repository of the hub. The only place with the rules.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use ggrun::hub::pick::{Wish, pick};
use ggrun::hub::{Event, Hub, RemoteFile, RepoName, Settings};

use super::args::When;
use super::download::JOBS;
use super::interrupt::Interrupt;
use super::progress::Bar;

/// What a text names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    Path(PathBuf),
    Repo(RepoName),
}

/// What is fetched of a repository.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Want<'a> {
    /// What a conversion needs.
    Checkpoint,
    /// A GGUF with all its parts.
    Gguf(Wish<'a>),
    /// A checkpoint if there is one, else a GGUF.
    Any,
}

impl Source {
    /// A path that is there is meant, whatever it looks like. One that is not is a repository's name if it can be one
    /// and does not look like a path.
    pub(crate) fn of(text: &Path) -> Self {
        let there = match std::fs::symlink_metadata(text) {
            Ok(_) => true,
            Err(error) => !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory),
        };
        let name = text.to_str().filter(|text| !there && !is_path(text)).and_then(|text| text.parse().ok());
        name.map_or_else(|| Self::Path(text.to_owned()), Self::Repo)
    }
}

/// The path that a text names, after what it names was fetched.
///
/// # Errors
///
/// When it is a repository's name and that cannot be had.
pub(crate) fn local(text: &Path, want: Want<'_>, offline: bool, when: When) -> anyhow::Result<PathBuf> {
    match Source::of(text) {
        Source::Path(path) => Ok(path),
        Source::Repo(repo) => fetch(&repo, want, offline, when)
            .with_context(|| format!("no such path, and no such repository: `{}`", text.display())),
    }
}

/// Fetches what is wanted of a repository, and gives the checkpoint's folder or the GGUF's first file.
///
/// # Errors
///
/// When the hub does not give it, or the repository does not have it.
pub(crate) fn fetch(repo: &RepoName, want: Want<'_>, offline: bool, when: When) -> anyhow::Result<PathBuf> {
    let interrupt = Interrupt::listen();
    let stop = interrupt.flag();
    let mut settings = Settings::read()?;
    settings.offline |= offline;
    let hub = Hub::new(settings)?;
    let bar = Bar::new("Downloading", when);
    let observer = |event: Event<'_>| bar.fetch(event);
    let fetch = || {
        let listing = hub.listing(repo, stop, &observer)?;
        let is_shard = |file: &RemoteFile| file.name.ends_with(".safetensors") && !file.name.contains('/');
        let has_shards = listing.files.iter().any(is_shard);
        let wish = match want {
            Want::Checkpoint => None,
            Want::Any if has_shards => None,
            Want::Any => Some(Wish::Usual),
            Want::Gguf(wish) => Some(wish),
        };
        let Some(wish) = wish else {
            anyhow::ensure!(has_shards, "`{repo}` has no safetensors files, so it is no checkpoint");
            let files = hub.checkpoint_files(repo, &listing, stop, &observer)?;
            return Ok(hub.fetch(repo, &listing, &files, JOBS.into(), stop, &observer)?);
        };
        let names = pick(listing.files.iter().map(|file| file.name.as_str()), wish).with_context(|| {
            let of = if hub.settings().offline { ", of those in the cache" } else { "" };
            format!("cannot choose a file of `{repo}`{of}")
        })?;
        let files: Vec<&RemoteFile> = names.iter().filter_map(|name| listing.find(name)).collect();
        let folder = hub.fetch(repo, &listing, &files, JOBS.into(), stop, &observer)?;
        Ok(names.first().map_or(folder.clone(), |first| folder.join(first)))
    };
    let fetched = fetch();
    bar.clear();
    fetched
}

/// Whether a text looks like a path so much that it is one even where nothing is there.
fn is_path(text: &str) -> bool {
    let ending = Path::new(text).extension().map(OsStr::to_ascii_lowercase);
    text.starts_with(['.', '/', '~', '\\'])
        || ending.is_some_and(|ending| ending == "gguf" || ending == "safetensors")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_repository_only_where_it_is_no_path() {
        for name in ["org/name", "org/name@v1.0", "Qwen/Qwen3-0.6B", "org/gguf"] {
            assert_eq!(Source::of(Path::new(name)), Source::Repo(name.parse().unwrap()));
        }
        let paths = [
            "name",
            "a/b/c",
            "./org/name",
            "../name",
            "/org/name",
            "~/name",
            "org/a.gguf",
            "org/a.SafeTensors",
        ];
        // The last is there.
        for path in paths.into_iter().chain(["org\\name", "", "C:/name", "src/cli"]) {
            assert_eq!(Source::of(Path::new(path)), Source::Path(path.into()), "{path}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_link_to_nothing_is_a_path() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("nothing", &link).unwrap();
        assert_eq!(Source::of(&link), Source::Path(link));
    }
}
