//! Describes a repository on the hub by the headers of its files: no weight is fetched.

use std::path::{Path, PathBuf};

use ggrun::hub::pick::Selection;
use ggrun::hub::{Event, Hub, Listing, ModelName, RemoteFile, RepoName, Retention, Settings, ShardStream};
use ggrun::inspect::{Description, any_type, checkpoint, gguf};
use gguf_export::Plan;
use gguf_export::checkpoint::Checkpoint;

use crate::cli::interrupt::Interrupt;
use crate::cli::options::hub::JOBS;
use crate::cli::shared::source;
use crate::cli::ui::progress::Bar;
use crate::cli::ui::when::When;

/// Describes the checkpoint of a repository, or its GGUF if one is selected or there is no checkpoint.
pub(super) fn inspect(model: &ModelName) -> anyhow::Result<Description> {
    let repo = &model.repo;
    let interrupt = Interrupt::listen();
    let stop = interrupt.flag();
    let hub = Hub::new(Settings::read()?)?;
    let bar = Bar::new("Downloading", When::Auto);
    let heard = |event: Event<'_>| bar.fetch(event);
    let look = || -> anyhow::Result<Description> {
        let text = model.to_string();
        let listing = source::listing(&hub, repo, Some(Path::new(&text)), stop, &heard)?;
        let mut found = if model.selection() != Selection::Default || !source::has_shards(&listing) {
            let names = source::parts(repo, &listing, model.selection())?;
            let first = names.first().map_or("", String::as_str);
            gguf(hub.gguf_headers(repo, &listing, first, stop, &heard)?)
        } else {
            let files = hub.checkpoint_files(repo, &listing, stop, &heard)?;
            let (shards, small): (Vec<&RemoteFile>, Vec<_>) =
                files.into_iter().partition(|file| file.name.ends_with(".safetensors"));
            let folder = hub.fetch(repo, &listing, &small, JOBS.into(), stop, &heard)?;
            let arriving = ShardStream::new(&hub, (repo, &listing), &shards, Retention::Keep, stop, &heard)?;
            let headers = Checkpoint::assemble(&folder, arriving.headers()?)?;
            checkpoint(&headers, &Plan::draft_from_headers(&headers, &any_type())?)
        };
        for (path, _) in &mut found.files {
            *path = place(&hub, repo, &listing, path);
        }
        Ok(found)
    };
    let found = look();
    bar.clear();
    found
}

/// The path of a file: in the cache, or its name in the repository.
fn place(hub: &Hub, repo: &RepoName, listing: &Listing, path: &Path) -> PathBuf {
    let folder = hub.cache().repo(repo);
    let snapshot = folder.snapshot(&listing.commit).unwrap_or_default();
    let name = path.strip_prefix(&snapshot).unwrap_or(path);
    let there = name.to_str().and_then(|name| folder.find(&listing.commit, name));
    there.unwrap_or_else(|| Path::new(repo.id()).join(name))
}
