//! Fetches the files that a command reads from a repository on the hub.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use anyhow::Context as _;
use ggrun::hub::pick::{PickError, Selection, pick};
use ggrun::hub::{Event, Hub, Listing, Observer, RemoteFile, RepoName, Settings};

use crate::cli::error::IsCheckpoint;
use crate::cli::interrupt::Interrupt;
use crate::cli::options::hub::{self, JOBS, Source};
use crate::cli::options::model::{Chosen, ModelArgs};
use crate::cli::ui::progress::Bar;
use crate::cli::ui::when::When;

/// The GGUF that a command loads, fetched if it is in a repository.
///
/// # Errors
///
/// When the options contradict each other, or the file cannot be fetched.
pub(crate) fn model(args: &ModelArgs, when: When) -> anyhow::Result<PathBuf> {
    observed_model(args, when, &|_| ())
}

/// As [`model`]; `observer` is called with the events of the download too.
///
/// # Errors
///
/// As [`model`].
pub(crate) fn observed_model(
    args: &ModelArgs,
    when: When,
    observer: Observer<'_>,
) -> anyhow::Result<PathBuf> {
    if let Some(path) = local(args)? {
        return Ok(path.to_owned());
    }
    match args.named()? {
        Chosen::File(path) => observed_gguf(path, args.offline, when, observer),
        Chosen::Hub(repo, selection) => fetch(repo, Some(selection), None, args.offline, when, observer),
    }
}

/// A name for the GGUF that a command loads: that of its file without the extension, or that of the repository as given.
///
/// # Errors
///
/// When the options contradict each other.
pub(crate) fn name(args: &ModelArgs) -> anyhow::Result<String> {
    let stem = |path: &Path| path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let of_hub = |repo: &RepoName, selection: Selection<'_>| match selection {
        Selection::File(file) => stem(Path::new(file)),
        Selection::Quant(_) | Selection::Default => requested(repo, selection),
    };
    Ok(match args.named()? {
        Chosen::File(path) => {
            hub::model(path)?.map_or_else(|| stem(path), |model| of_hub(&model.repo, model.selection()))
        }
        Chosen::Hub(repo, selection) => of_hub(repo, selection),
    })
}

/// The GGUF that a command loads, if it is a file of this machine.
///
/// # Errors
///
/// When the options contradict each other.
pub(crate) fn local(args: &ModelArgs) -> anyhow::Result<Option<&Path>> {
    match args.named()? {
        Chosen::File(path) => {
            refuse_folder(path)?;
            Ok(hub::model(path)?.is_none().then_some(path))
        }
        Chosen::Hub(..) => Ok(None),
    }
}

/// The folder of a checkpoint, fetched if it is in a repository.
///
/// # Errors
///
/// When it cannot be fetched.
pub(crate) fn checkpoint(text: &Path, when: When) -> anyhow::Result<PathBuf> {
    match Source::of(text)? {
        Source::Path(path) => Ok(path),
        Source::Repo(repo) => fetch(&repo, None, Some(text), false, when, &|_| ()),
    }
}

/// The path of a GGUF, fetched if it is in a repository.
///
/// # Errors
///
/// When it cannot be fetched.
pub(crate) fn gguf(text: &Path, offline: bool, when: When) -> anyhow::Result<PathBuf> {
    observed_gguf(text, offline, when, &|_| ())
}

fn observed_gguf(text: &Path, offline: bool, when: When, observer: Observer<'_>) -> anyhow::Result<PathBuf> {
    match hub::model(text)? {
        None => Ok(text.to_owned()),
        Some(model) => fetch(&model.repo, Some(model.selection()), Some(text), offline, when, observer),
    }
}

/// The files of a repository. `text` is what may have been meant as a path.
///
/// # Errors
///
/// As [`Hub::listing`].
pub(crate) fn listing(
    hub: &Hub,
    repo: &RepoName,
    text: Option<&Path>,
    stop: &AtomicBool,
    observer: Observer<'_>,
) -> anyhow::Result<Listing> {
    let listing = hub.listing(repo, stop, observer);
    match text {
        Some(text) => listing.with_context(|| format!("no such path or repository: `{}`", text.display())),
        None => Ok(listing?),
    }
}

/// Fetches the selected GGUF of a repository and returns its first file. Without a selection it fetches the checkpoint
/// and returns its folder.
///
/// # Errors
///
/// When the repository does not have it, or it cannot be fetched.
fn fetch(
    repo: &RepoName,
    selection: Option<Selection<'_>>,
    text: Option<&Path>,
    offline: bool,
    when: When,
    observer: Observer<'_>,
) -> anyhow::Result<PathBuf> {
    let interrupt = Interrupt::listen();
    let stop = interrupt.flag();
    let mut settings = Settings::read()?;
    settings.offline |= offline;
    let hub = Hub::new(settings)?;
    let bar = Bar::new("Downloading", when);
    let observer = |event: Event<'_>| {
        observer(event);
        bar.fetch(event);
    };
    let fetch = || {
        let listing = listing(&hub, repo, text, stop, &observer)?;
        let Some(selection) = selection else {
            if !has_shards(&listing) {
                listing.needs(&repo.to_string())?;
                anyhow::bail!("`{repo}` has no safetensors files, so it is not a checkpoint");
            }
            let files = hub.checkpoint_files(repo, &listing, stop, &observer)?;
            return Ok(hub.fetch(repo, &listing, &files, JOBS.into(), stop, &observer)?);
        };
        let names = parts(repo, &listing, selection)?;
        let files: Vec<&RemoteFile> = names.iter().filter_map(|name| listing.find(name)).collect();
        let folder = hub.fetch(repo, &listing, &files, JOBS.into(), stop, &observer)?;
        Ok(names.first().map_or(folder.clone(), |first| folder.join(first)))
    };
    let fetched = fetch();
    bar.clear();
    fetched
}

/// Refuses a folder, which is a checkpoint or has several files.
fn refuse_folder(path: &Path) -> anyhow::Result<()> {
    let Ok(entries) = std::fs::read_dir(path) else { return Ok(()) };
    let names: Vec<PathBuf> = entries.filter_map(Result::ok).map(|entry| entry.path()).collect();
    let with = |ending: &str| names.iter().find(|name| name.extension().is_some_and(|found| found == ending));
    match (with("gguf"), with("safetensors")) {
        (Some(file), _) => {
            anyhow::bail!("`{}` is a folder, expected a file such as `{}`", path.display(), file.display())
        }
        (None, Some(_)) => Err(IsCheckpoint { place: path.display().to_string() }.into()),
        (None, None) => anyhow::bail!("`{}` is a folder, expected a GGUF file", path.display()),
    }
}

/// Whether the repository has a checkpoint.
pub(crate) fn has_shards(listing: &Listing) -> bool {
    listing.files.iter().any(|file| file.name.ends_with(".safetensors") && !file.name.contains('/'))
}

/// The files of the selected GGUF.
pub(crate) fn parts(
    repo: &RepoName,
    listing: &Listing,
    selection: Selection<'_>,
) -> anyhow::Result<Vec<String>> {
    let picked = pick(listing.files.iter().map(|file| file.name.as_str()), selection);
    if matches!(picked, Err(PickError::Empty)) && has_shards(listing) {
        return Err(IsCheckpoint { place: repo.to_string() }.into());
    }
    match &picked {
        Err(PickError::Empty) => listing
            .needs(&requested(repo, selection))
            .with_context(|| format!("the cache has no GGUF model of `{repo}`"))?,
        Err(PickError::Missing { available, .. }) => listing
            .needs(&requested(repo, selection))
            .with_context(|| format!("of `{repo}` the cache has only {}", available.join(", ")))?,
        Err(PickError::Part { first, part, .. }) => listing
            .needs(&format!("{}/{}", repo.id(), nth_part(first, *part).as_ref().unwrap_or(first)))
            .with_context(|| format!("the cache has only some parts of a model of `{repo}`"))?,
        _ => {}
    }
    picked.with_context(|| {
        let of = if listing.only_cached.is_some() { ", of those in the cache" } else { "" };
        format!("cannot choose a file of `{repo}`{of}")
    })
}

/// A selection as it is given.
fn requested(repo: &RepoName, selection: Selection<'_>) -> String {
    match selection {
        Selection::Default => repo.to_string(),
        Selection::Quant(quant) => format!("{repo}:{quant}"),
        Selection::File(file) => format!("{}/{file}", repo.id()),
    }
}

/// The name of a part, from that of another: `M-00001-of-00003.gguf`.
fn nth_part(other: &str, part: u32) -> Option<String> {
    let end = other.rfind("-of-")?;
    Some(format!("{}{part:05}{}", other.get(..end.checked_sub(5)?)?, &other[end..]))
}
