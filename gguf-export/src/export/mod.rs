//! Writes the GGUF that a plan describes: headers first, then tiles in any order, each at its place.
//!
//! Data goes to `NAME.part`, and what is finished into `NAME.part.journal`, from which the same call goes on after
//! an interruption. A file gets its final name when all of it is on the disk.

mod journal;
mod layout;
mod order;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;

pub use layout::OutputFile;

use layout::Place;

use crate::checkpoint::Checkpoint;
use crate::io::{self, ByteSink, FileSink};
use crate::plan::Plan;
use crate::progress::{Observer, Progress};
use crate::supply::{Ledger, Present, Supply, Watch};
use crate::transcode::{Scratch, fill};
use crate::verify::{Proof, Report};
use crate::{Error, Result, pool};

/// How to write.
#[derive(Debug, Clone, Copy)]
pub struct ExportOptions {
    /// Threads that transcode.
    pub threads: usize,
    /// Replaces an existing output.
    pub overwrite: bool,
    /// Goes on from an earlier, interrupted run of the same export.
    pub resume: bool,
    /// Largest size of one file in bytes; the export is split where it is exceeded.
    pub split_max_bytes: Option<u64>,
    /// Reads every tile back and compares it with the checkpoint before its sources may go.
    pub prove: bool,
}

impl Default for ExportOptions {
    fn default() -> Self {
        Self { threads: 1, overwrite: false, resume: true, split_max_bytes: None, prove: false }
    }
}

/// The files that an export writes, with their sizes. Writes nothing.
///
/// # Errors
/// [`Error::Malformed`] if a name or a size exceeds what GGUF can hold.
pub fn outputs(plan: &Plan, out: &Path, options: &ExportOptions) -> Result<Vec<OutputFile>> {
    layout::files(plan, out, options.split_max_bytes)
}

/// Writes the GGUF and returns its files. `stop` ends the work at the next tile.
///
/// # Errors
/// [`Error::OutputExists`], [`Error::OutputIsSource`], [`Error::NoSpace`], [`Error::Interrupted`], [`Error::Io`]; [`Error::Tensor`] for data
/// that contradicts its format, after which nothing is left behind.
///
/// ```no_run
/// # use std::sync::atomic::AtomicBool;
/// use gguf_export::{ExportOptions, Progress, export};
///
/// # let go = AtomicBool::new(false);
/// # let checkpoint = gguf_export::checkpoint::Checkpoint::open("model".as_ref())?;
/// # let plan = gguf_export::survey(&checkpoint, &Default::default(), 4, &go, &|_| {})?;
/// // Files of at most 20 GB each; the same call goes on where an interrupted one ended.
/// let options = ExportOptions { threads: 4, split_max_bytes: Some(20_000_000_000), ..ExportOptions::default() };
/// let files = export(&checkpoint, &plan, "model.gguf".as_ref(), &options, &go, &|step| {
///     if let Progress::Advanced { tensor, bytes } = step {
///         eprintln!("{tensor}: {bytes} bytes");
///     }
/// })?;
/// # Ok::<(), gguf_export::Error>(())
/// ```
pub fn export(
    checkpoint: &Checkpoint,
    plan: &Plan,
    out: &Path,
    options: &ExportOptions,
    stop: &AtomicBool,
    observer: Observer<'_>,
) -> Result<Vec<PathBuf>> {
    export_supplied(checkpoint, plan, out, options, &Present, stop, observer).map(|exported| exported.files)
}

/// What an export wrote.
#[derive(Debug)]
pub struct Exported {
    /// The files, in order.
    pub files: Vec<PathBuf>,
    /// What was proven, if that was asked for. Nothing differs.
    pub report: Option<Report>,
}

/// The same from shards that come while it is at work: each is waited for before it is read, and let go of as soon as
/// everything that is made from it is on the disk.
///
/// The plan must be settled without them; [`crate::survey`] reads the tensors whose types depend on their values.
///
/// # Errors
/// As [`export`], [`Error::Supply`], and [`Error::Differs`] if [`ExportOptions::prove`] finds a difference. What was
/// written stays for the next run after these.
///
/// ```no_run
/// # use std::sync::atomic::AtomicBool;
/// use gguf_export::export::export_supplied;
/// use gguf_export::supply::{Needed, Supply};
/// use gguf_export::{ExportOptions, Result};
///
/// /// Fetches a shard when it is waited for, and deletes it afterwards.
/// struct Frugal;
///
/// impl Supply for Frugal {
///     fn needed(&self, shards: &[Needed]) {
///         eprintln!("{} shards to fetch", shards.len());
///     }
///     fn wait(&self, shard: usize) -> Result<()> {
///         // fetch it, once
///         Ok(())
///     }
///     fn done(&self, shard: usize) -> Result<()> {
///         // delete it
///         Ok(())
///     }
///     fn failed(&self) {
///         // wake whoever waits
///     }
/// }
///
/// # let go = AtomicBool::new(false);
/// # let checkpoint = gguf_export::checkpoint::Checkpoint::assemble("model".as_ref(), Vec::new())?;
/// # let plan = gguf_export::survey(&checkpoint, &Default::default(), 4, &go, &|_| {})?;
/// let options = ExportOptions { prove: true, ..ExportOptions::default() };
/// let exported = export_supplied(&checkpoint, &plan, "model.gguf".as_ref(), &options, &Frugal, &go, &|_| {})?;
/// assert!(exported.report.is_some_and(|report| report.equal()));
/// # Ok::<(), gguf_export::Error>(())
/// ```
pub fn export_supplied(
    checkpoint: &Checkpoint,
    plan: &Plan,
    out: &Path,
    options: &ExportOptions,
    supply: &dyn Supply,
    stop: &AtomicBool,
    observer: Observer<'_>,
) -> Result<Exported> {
    let files = outputs(plan, out, options)?;
    refuse_existing(&files, options)?;
    let (places, needs) = order::in_order(checkpoint, plan, layout::places(plan, &files));
    let journal_path = with_suffix(out, ".part.journal");
    let parts: Vec<PathBuf> = files.iter().map(|f| with_suffix(&f.path, ".part")).collect();
    refuse_sources(checkpoint, files.iter().map(|f| &f.path).chain(&parts).chain([&journal_path]))?;
    let identity = journal::identity(checkpoint, plan, &files);
    check_space(&files, &parts, supply.gives_back(out))?;
    let sinks = take(&parts)?;
    let begun = begin(&files, &sinks, options, (&journal_path, &identity), places.len());
    let done = begun.inspect_err(|_| {
        if io::is_there(&journal_path) {
            discard_empty(&sinks, &parts);
        } else {
            // Nothing tells what they hold. That one cannot be removed is not what went wrong.
            for part in &parts {
                drop(io::remove(part));
            }
        }
    })?;
    let total: u64 = places.iter().map(|p| p.bytes).sum();
    let resumed = places.iter().zip(&done).filter(|(_, d)| **d).map(|(p, _)| p.bytes).sum();
    observer(Progress::Planned { bytes: total, tensors: plan.tensors.len(), resumed });

    let mut ledger = Ledger::open(checkpoint, supply, &needs, &done);
    let headers = parts.iter().zip(&files).map(|(part, file)| (part.clone(), file.header.clone()));
    let headers: Vec<_> = headers.collect();
    let proof = if options.prove { Some(Proof::new(&headers)?) } else { None };
    let watch = Watch::new(supply);

    let (written, kept) = thread::scope(|scope| {
        let (finished, tiles) = mpsc::channel();
        let keep = || journal::keep(&journal_path, &sinks, tiles, &mut ledger, options.prove);
        let keeper = scope.spawn(|| watch.over(keep));
        let tile = |index: usize, state: &mut (Scratch, Vec<u8>)| {
            let place = &places[index];
            needs[index].iter().try_for_each(|&shard| supply.wait(shard))?;
            write(checkpoint, plan, place, &sinks, state)?;
            if let Some(proof) = &proof {
                proof.check(checkpoint, plan, place.tensor, place.rows.clone())?;
            }
            observer(Progress::Advanced { tensor: &plan.tensors[place.tensor].name, bytes: place.bytes });
            // The keeper hangs up only after an error of its own, which goes before this one.
            finished.send((index, place.bytes)).map_err(|_| Error::Stopped)
        };
        let written = pool::each(places.len(), options.threads, stop, Default::default, |index, state| {
            if done[index] { Ok(()) } else { watch.over(|| tile(index, state)) }
        });
        drop(finished);
        observer(Progress::Syncing);
        (written, keeper.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    // What is on the disk is good, even if no more goes there.
    let interrupted = || Error::Interrupted { part: parts[0].clone() };
    kept.map_err(|e| if matches!(e, Error::Stopped) { interrupted() } else { e })?;
    match written {
        Ok(()) if !stop.load(Ordering::Relaxed) => {}
        Ok(()) | Err(Error::Stopped) => return Err(interrupted()),
        Err(e @ (Error::Io { .. } | Error::Supply { .. } | Error::Differs { .. })) => return Err(e),
        Err(e) => return Err(discard(sinks, &parts, &journal_path, e)),
    }
    if let Err(e) = checkpoint.unchanged() {
        return Err(discard(sinks, &parts, &journal_path, e));
    }
    let report = if let Some(proof) = &proof { Some(proof.report(plan)?) } else { None };
    for (part, file) in parts.iter().zip(&files) {
        io::rename(part, &file.path)?;
    }
    io::remove(&journal_path)?;
    observer(Progress::Finished);
    Ok(Exported { files: files.into_iter().map(|f| f.path).collect(), report })
}

fn refuse_existing(files: &[OutputFile], options: &ExportOptions) -> Result<()> {
    match files.iter().find(|f| f.path.exists()).filter(|_| !options.overwrite) {
        Some(file) => Err(Error::OutputExists { path: file.path.clone() }),
        None => Ok(()),
    }
}

/// Overwriting is meant for what an export wrote, not for what it reads.
fn refuse_sources<'a>(checkpoint: &Checkpoint, written: impl Iterator<Item = &'a PathBuf>) -> Result<()> {
    let folder = checkpoint.dir();
    let mut sources: Vec<PathBuf> = io::list(folder)?.into_iter().map(|name| folder.join(name)).collect();
    sources.extend(checkpoint.shards().map(Path::to_owned));
    for path in written.filter(|path| io::is_there(path)) {
        // A GGUF beside the shards is no source.
        let read = |source: &&PathBuf| source.extension().is_some_and(|e| e == "safetensors" || e == "json");
        if sources.iter().filter(read).any(|source| io::is_same(source, path)) {
            return Err(Error::OutputIsSource { path: path.clone() });
        }
    }
    Ok(())
}

/// Opens the unfinished files for this process alone, with what they hold.
fn take(parts: &[PathBuf]) -> Result<Vec<FileSink>> {
    let open = |part: &PathBuf| {
        let sink = FileSink::open(part)?;
        sink.lock()?;
        Ok(sink)
    };
    let mut sinks = Vec::new();
    for part in parts {
        sinks.push(open(part).inspect_err(|_| discard_empty(&sinks, parts))?);
    }
    Ok(sinks)
}

/// Tells which tiles an earlier run finished; without one, makes the files and a journal that lists nothing.
fn begin(
    files: &[OutputFile],
    sinks: &[FileSink],
    options: &ExportOptions,
    (journal, identity): (&Path, &str),
    tiles: usize,
) -> Result<Vec<bool>> {
    // Another process may have finished before this one had the files.
    refuse_existing(files, options)?;
    let mut whole = options.resume;
    for (sink, file) in sinks.iter().zip(files) {
        whole &= sink.size()? == file.bytes;
    }
    let old = if whole { journal::read(journal, identity, tiles, options.prove) } else { None };
    let fresh = old.is_none();
    if let Some((_, len)) = &old {
        io::truncate(journal, *len)?;
    } else {
        // Before the files change: a journal must not outlive the data it speaks of.
        io::remove(journal)?;
    }
    for (sink, file) in sinks.iter().zip(files) {
        if fresh {
            // A file that was cut off, even at nothing, makes some file systems write it out when it is closed.
            if sink.size()? > 0 {
                sink.set_len(0)?;
            }
            sink.set_len(file.bytes)?;
        }
        sink.write_at(0, &file.header.encode())?;
    }
    if fresh {
        io::append(journal, identity)?;
    }
    Ok(old.map_or_else(|| vec![false; tiles], |(done, _)| done))
}

/// Removes what is of no use any more, and gives the reason: the export's own, or that it cannot be removed.
fn discard(sinks: Vec<FileSink>, parts: &[PathBuf], journal: &Path, reason: Error) -> Error {
    drop(sinks);
    let paths = parts.iter().map(PathBuf::as_path).chain([journal]);
    paths.map(io::remove).find_map(Result::err).unwrap_or(reason)
}

/// Removes the files that were only just created.
fn discard_empty(sinks: &[FileSink], parts: &[PathBuf]) {
    for (_, part) in sinks.iter().zip(parts).filter(|(sink, _)| sink.size().is_ok_and(|n| n == 0)) {
        drop(io::remove(part));
    }
}

fn write(
    checkpoint: &Checkpoint,
    plan: &Plan,
    place: &Place,
    sinks: &[FileSink],
    (scratch, buffer): &mut (Scratch, Vec<u8>),
) -> Result<()> {
    buffer.resize(usize::try_from(place.bytes).unwrap_or(usize::MAX), 0);
    fill(checkpoint, plan, &plan.tensors[place.tensor], place.rows.clone(), scratch, buffer)?;
    sinks[place.file].write_at(place.offset, buffer)
}

fn check_space(files: &[OutputFile], parts: &[PathBuf], gives_back: u64) -> Result<()> {
    let total: u64 = files.iter().map(|f| f.bytes).sum();
    let dir = parts[0].parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let available = io::available_space(dir)?;
    // What an earlier run left is written over or given back.
    let held: u64 = parts.iter().map(|p| io::allocated(p)).sum();
    let needed = total.saturating_sub(held).saturating_sub(gives_back);
    if needed > available {
        return Err(Error::NoSpace { path: files[0].path.clone(), needed, available });
    }
    Ok(())
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
