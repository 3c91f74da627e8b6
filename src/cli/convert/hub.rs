//! A conversion whose source is a repository of the hub: shards are converted as they arrive.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use anyhow::Context as _;
use ggrun::hub::{Afterwards, Arriving, Error, Event, Hub, RemoteFile, RepoName, Settings};
use gguf_export::checkpoint::{Checkpoint, Shard};
use gguf_export::{Plan, PlanOptions, io, survey};

use super::super::args::Convert;
use super::super::lent;
use super::super::progress::Bar;
use super::{Converted, Job, observer};

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
    let afterwards = if args.delete_source_as_you_go { Afterwards::Delete } else { Afterwards::Keep };
    let arriving = Arriving::new(&hub, (repo, &listing), &shards, afterwards, stop, &heard)?;
    let options = super::plan_options(args);
    let mut checkpoint = arriving.checkpoint(&folder, Vec::new())?;
    let lent = lent(args, &checkpoint, bar, stop)?;
    let borrowed = lent.as_ref().map(|shard| shard.path.clone());
    if let Some(shard) = lent {
        checkpoint = arriving.checkpoint(&folder, vec![shard])?;
    }
    if !is_settled(&checkpoint, &options)? {
        bar.say("note: the types of some tensors depend on their values, so all shards are fetched first");
        arriving.fetch_all(usize::from(args.jobs))?;
    }
    let plan = survey(&checkpoint, &options, args.common.threads(), stop, &observer(bar))?;
    let job = Job::new(args, &checkpoint, plan)?;
    if !args.dry_run {
        check_room(&arriving, &hub, &job)?;
    }
    let prove = args.prove || args.delete_source_as_you_go || borrowed.is_some();
    let jobs = usize::from(args.jobs);
    let done = arriving.while_at(jobs, || job.run(&arriving, prove, bar, stop));
    let why = |error| arriving.failure().map_or(error, anyhow::Error::from);
    let done = done.map_err(why).with_context(|| format!("cannot convert `{repo}`"))?;
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
    let folder = match &args.output {
        Some(path) if path.is_dir() => path.clone(),
        Some(path) => path.parent().map(Path::to_owned).unwrap_or_default(),
        None => PathBuf::new(),
    };
    lent::take(repo, checkpoint, &folder, bar, stop).map(Some)
}

/// A lent file has served.
pub(super) fn drop_borrowed(args: &Convert, file: Option<&Path>) -> anyhow::Result<()> {
    let Some(file) = file.filter(|_| !args.dry_run) else { return Ok(()) };
    lent::give_back(file)
}

/// Whether a plan can be made of headers alone.
fn is_settled(checkpoint: &Checkpoint, options: &PlanOptions) -> gguf_export::Result<bool> {
    match Plan::draft(checkpoint, options) {
        Ok(plan) => Ok(plan.settled()),
        // The order of columns is among the values, where there is one.
        Err(gguf_export::Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// Refuses what has no room: the GGUF, and beside it the shards that are there at once.
fn check_room(arriving: &Arriving<'_>, hub: &Hub, job: &Job<'_>) -> anyhow::Result<()> {
    let (cache, shards) = (there(hub.cache().root()), arriving.room()?);
    let out = there(&job.out);
    let own = job.missing();
    let needed = if is_one_disk(&cache, &out) { shards + own } else { shards };
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

#[cfg(unix)]
fn is_one_disk(one: &Path, other: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let disk = |path: &Path| std::fs::metadata(path).ok().map(|meta| meta.dev());
    disk(one).is_some() && disk(one) == disk(other)
}

#[cfg(not(unix))]
fn is_one_disk(_: &Path, _: &Path) -> bool {
    true
}
