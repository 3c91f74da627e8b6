//! A conversion whose source is a repository of the hub: shards are converted as they arrive.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use anyhow::Context as _;
use ggrun::hub::{Error, Event, Hub, RemoteFile, RepoName, Retention, Settings, ShardStream};
use gguf_export::checkpoint::{Checkpoint, Shard};
use gguf_export::supply::Supply as _;
use gguf_export::{Findings, Plan, io, survey_supplied};

use super::args::Convert;
use super::job::{Converted, Job, observer, plan_options};
use crate::cli::shared::lent;
use crate::cli::ui::progress::Bar;

/// Converts a repository.
pub(super) fn convert(
    args: &Convert,
    repo: &RepoName,
    bar: &Bar,
    stop: &AtomicBool,
) -> anyhow::Result<Converted> {
    let hub = Hub::new(Settings::read()?)?;
    let heard = |event: Event<'_>| bar.arrive(event);
    let listing = hub.listing(repo, stop, &heard)?;
    let files = hub.checkpoint_files(repo, &listing, stop, &heard)?;
    let (shards, small): (Vec<&RemoteFile>, Vec<_>) =
        files.into_iter().partition(|file| file.name.ends_with(".safetensors"));
    anyhow::ensure!(!shards.is_empty(), "`{repo}` has no safetensors files");
    let folder = hub.fetch(repo, &listing, &small, usize::from(args.jobs), stop, &heard)?;
    let afterwards = if args.delete_source_as_you_go { Retention::Delete } else { Retention::Keep };
    let mut arriving = ShardStream::new(&hub, (repo, &listing), &shards, afterwards, stop, &heard)?;
    let options = plan_options(args);
    let mut checkpoint = arriving.checkpoint(&folder, Vec::new())?;
    let lent = lent(args, &checkpoint, bar, stop)?;
    let borrowed = lent.as_ref().map(|shard| shard.path.clone());
    if let Some(shard) = lent {
        checkpoint = arriving.checkpoint(&folder, vec![shard])?;
    }
    let foreseen = Plan::foresee(&checkpoint, &options)?;
    arriving.keep_in_survey(foreseen.bytes().min(spare(&arriving, &hub)?));
    let mut findings = findings(args, repo, &listing.commit, &checkpoint)?;
    let (jobs, threads) = (usize::from(args.jobs), args.common.threads());
    let prove = args.prove || args.delete_source_as_you_go || borrowed.is_some();
    let done = arriving.fetch_while(jobs, || {
        let (supply, observer) = (arriving.survey(), observer(bar));
        let plan = survey_supplied(&checkpoint, &options, threads, &mut findings, &supply, stop, &observer)?;
        let job = Job::new(args, &checkpoint, plan)?;
        if !args.dry_run {
            check_room(&arriving, &hub, &job)?;
        }
        job.run(&arriving, prove, bar, stop)
    });
    let why = |error| arriving.take_error().map_or(error, anyhow::Error::from);
    let done = done.map_err(why).with_context(|| format!("cannot convert `{repo}`"))?;
    if !args.dry_run {
        findings.forget()?;
    }
    drop_borrowed(args, borrowed.as_deref())?;
    Ok(done)
}

/// The prediction layer of another repository, if it was asked for and the source has none.
pub(super) fn lent(
    args: &Convert,
    checkpoint: &Checkpoint,
    bar: &Bar,
    stop: &AtomicBool,
) -> anyhow::Result<Option<Shard>> {
    let Some(repo) = &args.mtp_from else { return Ok(None) };
    lent::take(repo, checkpoint, &out_folder(args), bar, stop).map(Some)
}

/// A lent file has served.
pub(super) fn drop_borrowed(args: &Convert, file: Option<&Path>) -> anyhow::Result<()> {
    let Some(file) = file.filter(|_| !args.dry_run) else { return Ok(()) };
    lent::give_back(file)
}

/// What an interrupted run found among the values.
fn findings(
    args: &Convert,
    repo: &RepoName,
    commit: &str,
    checkpoint: &Checkpoint,
) -> anyhow::Result<Findings> {
    let name = format!("{}-{}.survey", repo.id().replace('/', "--"), commit.get(..12).unwrap_or_default());
    let findings = Findings::at(&out_folder(args).join(name), checkpoint)?;
    Ok(if args.dry_run { findings.unkept() } else { findings })
}

/// Where the GGUF goes.
fn out_folder(args: &Convert) -> PathBuf {
    match &args.output {
        Some(path) if path.is_dir() => path.clone(),
        Some(path) => path.parent().map(Path::to_owned).unwrap_or_default(),
        None => PathBuf::new(),
    }
}

/// Bytes that the disk of the cache has beside the shards at work.
fn spare(arriving: &ShardStream<'_>, hub: &Hub) -> anyhow::Result<u64> {
    let available = io::available_space(&there(hub.cache().root())).unwrap_or(u64::MAX);
    Ok(available.saturating_sub(arriving.peak_bytes()?))
}

/// Refuses what has no room: the GGUF, and beside it the shards that are there at once.
fn check_room(arriving: &ShardStream<'_>, hub: &Hub, job: &Job<'_>) -> anyhow::Result<()> {
    let (cache, shards) = (there(hub.cache().root()), arriving.peak_bytes()?);
    let own = if io::is_one_disk(&cache, &job.out) { job.missing() } else { 0 };
    let needed = shards + own.saturating_sub(arriving.gives_back(&job.out));
    match io::available_space(&cache) {
        Ok(available) if available < needed => Err(Error::NoSpace { path: cache, needed, available }.into()),
        _ => Ok(()),
    }
}

/// The nearest folder that is there.
fn there(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    path.ancestors().find(|path| path.is_dir()).unwrap_or(Path::new(".")).to_owned()
}
