//! A conversion whose source is a repository on the hub: shards are converted as they arrive and, if requested, deleted
//! when everything made from them is proven.

use std::sync::atomic::AtomicBool;

use gguf_export::checkpoint::Checkpoint;
use gguf_export::supply::Supply as _;
use gguf_export::{Findings, Plan, Progress, io, survey_supplied};

use super::error::Error;
use super::job::Job;
use super::mtp;
use super::types::{Converted, Observer, Options, Origin, Step};
use crate::hub::{self, Event, Hub, RemoteFile, RepoName, Retention, ShardStream};

/// Converts a repository. `origin` lends the MTP layer that the checkpoint lacks.
///
/// # Errors
///
/// When a file does not arrive, the checkpoint is wrong, the disk is too small, or the GGUF cannot be written.
pub fn repository(
    hub: &Hub,
    repo: &RepoName,
    origin: Option<Origin<'_>>,
    options: &Options,
    stop: &AtomicBool,
    observer: Observer<'_>,
) -> Result<Converted, Error> {
    let arrives = |event: Event<'_>| observer(Step::Source(event));
    let listing = hub.listing(repo, stop, &arrives)?;
    let files = hub.checkpoint_files(repo, &listing, stop, &arrives)?;
    let (shards, small): (Vec<&RemoteFile>, Vec<_>) =
        files.into_iter().partition(|file| file.name.ends_with(".safetensors"));
    if shards.is_empty() {
        listing.needs(&repo.to_string())?;
        return Err(Error::NoShards { repo: repo.clone() });
    }
    let is_fetched = |name: &&str| shards.iter().any(|shard| shard.name == *name);
    let copies: Vec<String> =
        listing.second_copies().into_iter().filter(|name| !is_fetched(name)).map(str::to_owned).collect();
    let folder = hub.fetch(repo, &listing, &small, options.jobs, stop, &arrives)?;
    let retention = if options.delete_shards { Retention::Delete } else { Retention::Keep };
    let mut stream = ShardStream::new(hub, (repo, &listing), &shards, retention, stop, &arrives)?;
    let shards = stream.headers()?;
    // Held only for a checkpoint with one more shard: they are not small.
    let extended = origin.map(|origin| (origin, shards.clone()));
    let assemble =
        |shards| Ok::<_, Error>(Checkpoint::assemble(&folder, shards)?.with_copies(copies.clone()));
    let mut checkpoint = assemble(shards)?;
    let mut borrowed = None;
    if let Some((origin, mut shards)) = extended {
        let arrives = |event: Event<'_>| observer(Step::Mtp(event));
        let shard = mtp::borrow(origin, &checkpoint, &options.output_folder(), stop, &arrives)?;
        borrowed = Some(shard.path.clone());
        shards.push(shard);
        checkpoint = assemble(shards)?;
    }
    let foreseen = Plan::draft_from_headers(&checkpoint, &options.plan)?;
    stream.keep_in_survey(foreseen.bytes().min(spare(&stream)?));
    let mut findings = findings(options, repo, &listing.commit, &checkpoint)?;
    let prove = options.delete_shards || borrowed.is_some();
    let done = stream.fetch_while(options.jobs, || {
        let (supply, threads) = (stream.survey(), options.export.threads);
        let advance = |progress: Progress<'_>| observer(Step::Export(progress));
        let plan =
            survey_supplied(&checkpoint, &options.plan, threads, &mut findings, &supply, stop, &advance)?;
        let job = Job::new(options, &checkpoint, plan, prove)?;
        if !options.dry_run {
            check_room(&stream, &job)?;
        }
        let leftovers = findings.file().map(ToOwned::to_owned).into_iter().chain(borrowed);
        Ok(job.run(&stream, leftovers.collect(), stop, observer)?)
    });
    done.map_err(|error: Error| stream.take_error().map_or(error, Error::Shard))
}

/// The file in which an interrupted run saved its findings about the values.
fn findings(
    options: &Options,
    repo: &RepoName,
    commit: &str,
    checkpoint: &Checkpoint,
) -> gguf_export::Result<Findings> {
    let name = format!("{}-{}.survey", repo.id().replace('/', "--"), commit.get(..12).unwrap_or_default());
    let findings = Findings::at(&options.output_folder().join(name), checkpoint, &options.plan.config)?;
    Ok(if options.dry_run { findings.without_file() } else { findings })
}

/// Bytes that remain free on the cache's disk besides the shards in use.
fn spare(stream: &ShardStream<'_>) -> Result<u64, hub::Error> {
    let available = io::available_space(&stream.disk()).unwrap_or(u64::MAX);
    Ok(available.saturating_sub(stream.peak_bytes(|_| true)?))
}

/// Refuses a conversion that does not fit on the disk: the rest of the GGUF, and the shards for it that are on the disk at
/// once.
fn check_room(stream: &ShardStream<'_>, job: &Job<'_>) -> Result<(), Error> {
    let Some(missing) = job.missing()? else { return Ok(()) };
    let (cache, shards) = (stream.disk(), stream.peak_bytes(|shard| missing.shards.contains(&shard))?);
    let own = if io::is_one_disk(&cache, &job.out) { missing.bytes } else { 0 };
    let needed = shards + own.saturating_sub(stream.reclaimable(&job.out));
    match io::available_space(&cache) {
        Ok(available) if available < needed => {
            Err(Error::Shard(hub::Error::NoSpace { path: cache, needed, available }))
        }
        _ => Ok(()),
    }
}
