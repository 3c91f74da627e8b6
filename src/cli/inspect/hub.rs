//! What a repository of the hub holds, by the headers of its files: no weight is fetched.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use ggrun::hub::{Afterwards, Arriving, Event, Hub, Listing, RemoteFile, RepoName, Settings};
use ggrun::inspect::{Description, any_type, checkpoint, gguf};
use gguf_export::Plan;

use super::super::args::When;
use super::super::download::JOBS;
use super::super::interrupt::Interrupt;
use super::super::progress::Bar;
use super::super::source::{self, HubModel};

/// Describes the checkpoint of a repository, or its GGUF if it has none or one was asked for.
pub(super) fn inspect(model: &HubModel) -> anyhow::Result<Description> {
    let repo = &model.repo;
    let interrupt = Interrupt::listen();
    let stop = interrupt.flag();
    let hub = Hub::new(Settings::read()?)?;
    let bar = Bar::new("Downloading", When::Auto);
    let heard = |event: Event<'_>| bar.fetch(event);
    let look = || -> anyhow::Result<Description> {
        let listing = hub.listing(repo, stop, &heard)?;
        let mut found = if model.quant.is_some() || !source::has_shards(&listing) {
            let names = source::parts(&hub, repo, &listing, model.wish())?;
            let first = names.first().map_or("", String::as_str);
            gguf(hub.gguf_headers(repo, &listing, first, stop, &heard)?)
        } else {
            let files = hub.checkpoint_files(repo, &listing, stop, &heard)?;
            let (shards, small): (Vec<&RemoteFile>, Vec<_>) =
                files.into_iter().partition(|file| file.name.ends_with(".safetensors"));
            let folder = hub.fetch(repo, &listing, &small, JOBS.into(), stop, &heard)?;
            let arriving = Arriving::new(&hub, (repo, &listing), &shards, Afterwards::Keep, stop, &heard)?;
            let headers = arriving.checkpoint(&folder, Vec::new())?;
            checkpoint(&headers, &Plan::draft_from_headers(&headers, &any_type())?)
        };
        for (path, _) in &mut found.files {
            *path = place(&hub, repo, &listing, path);
        }
        Ok(found)
    };
    let found = look();
    bar.clear();
    found.with_context(|| source::nothing(Path::new(&model.to_string())))
}

/// Where a file is: in the cache, or only in the repository.
fn place(hub: &Hub, repo: &RepoName, listing: &Listing, path: &Path) -> PathBuf {
    let folder = hub.cache().repo(repo);
    let snapshot = folder.snapshot(&listing.commit).unwrap_or_default();
    let name = path.strip_prefix(&snapshot).unwrap_or(path);
    let there = name.to_str().and_then(|name| folder.find(&listing.commit, name));
    there.unwrap_or_else(|| Path::new(repo.id()).join(name))
}
