//! Writes the GGUF of a plan: headers first, then tiles in any order.
//!
//! Data is written to `NAME.part`, and finished tiles are recorded in `NAME.part.journal`, from which the same call
//! resumes after an interruption. Files are renamed to their final names when everything is synced to the disk.

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

/// Options of an export.
#[derive(Debug, Clone, Copy)]
pub struct ExportOptions {
    /// Number of threads that transcode.
    pub threads: usize,
    /// Replaces an existing output.
    pub overwrite: bool,
    /// Resumes an interrupted run of the same export.
    pub resume: bool,
    /// Splits the output into files with at most this many bytes of tensor data each; a larger tensor gets its own file.
    pub split_max_bytes: Option<u64>,
    /// Reads every tile back and compares it with the checkpoint before its shards are released.
    pub prove: bool,
}

impl Default for ExportOptions {
    fn default() -> Self {
        Self { threads: 1, overwrite: false, resume: true, split_max_bytes: None, prove: false }
    }
}

/// The files that an export would write.
///
/// # Errors
/// [`Error::Malformed`] if a name or a size exceeds the limits of GGUF.
pub fn outputs(plan: &Plan, out: &Path, options: &ExportOptions) -> Result<Vec<OutputFile>> {
    layout::files(plan, out, options.split_max_bytes)
}

/// Writes the GGUF and returns its files. Setting `stop` interrupts the export at the next tile.
///
/// # Errors
/// [`Error::OutputExists`], [`Error::OutputIsSource`] and [`Error::NoSpace`] before anything is written.
/// [`Error::Interrupted`] if `stop` was set, and [`Error::Io`]: the next run resumes. [`Error::Tensor`] for data that
/// contradicts its format, and [`Error::NotRepresentable`]: the unfinished output is removed.
///
/// ```no_run
/// # use std::sync::atomic::AtomicBool;
/// use gguf_export::{ExportOptions, Progress, export};
///
/// # let go = AtomicBool::new(false);
/// # let checkpoint = gguf_export::checkpoint::Checkpoint::open("model".as_ref())?;
/// # let plan = gguf_export::survey(&checkpoint, &Default::default(), 4, &go, &|_| {})?;
/// // Files of at most 20 GB each; the same call resumes an interrupted export.
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

/// The result of an export.
#[derive(Debug)]
pub struct Exported {
    /// The files, in order.
    pub files: Vec<PathBuf>,
    /// The verification report, without differences, if [`ExportOptions::prove`] was set.
    pub report: Option<Report>,
}

/// Like [`export`], with shards provided by `supply`: waits for each shard before reading it, and releases it as soon as
/// everything made from it is synced to the disk.
///
/// The plan must be final; [`crate::survey_supplied`] reads the tensors whose types depend on their values.
///
/// # Errors
/// As [`export`], [`Error::Supply`] if a shard cannot be provided or released, and [`Error::Differs`] if
/// [`ExportOptions::prove`] is set and a tile differs. After the latter two, the next run resumes.
///
/// ```no_run
/// # use std::sync::atomic::AtomicBool;
/// use gguf_export::export::export_supplied;
/// use gguf_export::supply::{Needed, Supply};
/// use gguf_export::{ExportOptions, Result};
///
/// /// Fetches each shard when needed, and deletes it afterwards.
/// struct OneAtATime;
///
/// impl Supply for OneAtATime {
///     fn needed(&self, shards: &[Needed]) {
///         eprintln!("{} shards to fetch", shards.len());
///     }
///     fn wait(&self, shard: usize) -> Result<()> {
///         // fetch the shard, unless it was fetched before
///         Ok(())
///     }
///     fn done(&self, shard: usize) -> Result<()> {
///         // delete the shard
///         Ok(())
///     }
///     fn failed(&self) {
///         // wake all waiting threads
///     }
/// }
///
/// # let go = AtomicBool::new(false);
/// # let checkpoint = gguf_export::checkpoint::Checkpoint::assemble("model".as_ref(), Vec::new())?;
/// # let plan = gguf_export::survey(&checkpoint, &Default::default(), 4, &go, &|_| {})?;
/// let options = ExportOptions { prove: true, ..ExportOptions::default() };
/// let exported = export_supplied(&checkpoint, &plan, "model.gguf".as_ref(), &options, &OneAtATime, &go, &|_| {})?;
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
    let (places, needs) = order::by_shard(checkpoint, plan, layout::places(plan, &files));
    let journal_path = with_suffix(out, ".part.journal");
    let parts: Vec<PathBuf> = files.iter().map(|f| with_suffix(&f.path, ".part")).collect();
    refuse_sources(checkpoint, files.iter().map(|f| &f.path).chain(&parts).chain([&journal_path]))?;
    let identity = journal::identity(checkpoint, plan, &files);
    check_space(&files, &parts, supply.reclaimable(out))?;
    let sinks = open_locked(&parts)?;
    let begun = begin(&files, &sinks, options, (&journal_path, &identity), places.len());
    let done = begun.inspect_err(|_| {
        if io::is_there(&journal_path) {
            discard_empty(&sinks, &parts);
        } else {
            // Without a journal the content is useless. A failed removal must not mask the error.
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
    let proof = if options.prove { Some(Proof::new(checkpoint, plan, &headers)?) } else { None };
    let watch = Watch::new(supply);

    let (written, recorded) = thread::scope(|scope| {
        let (finished, tiles) = mpsc::channel();
        let record = || journal::write(&journal_path, &sinks, tiles, &mut ledger, options.prove);
        let recorder = scope.spawn(|| watch.run(record));
        let tile = |index: usize, state: &mut (Scratch, Vec<u8>)| {
            let place = &places[index];
            needs[index].iter().try_for_each(|&shard| supply.wait(shard))?;
            write(checkpoint, plan, place, &sinks, state)?;
            if let Some(proof) = &proof {
                proof.check(checkpoint, plan, place.tensor, place.rows.clone())?;
            }
            observer(Progress::Advanced { tensor: &plan.tensors[place.tensor].name, bytes: place.bytes });
            // The channel closes early only if the journal failed, whose error takes precedence.
            finished.send((index, place.bytes)).map_err(|_| Error::Stopped)
        };
        let written = pool::each(places.len(), options.threads, stop, Default::default, |index, state| {
            if done[index] { Ok(()) } else { watch.run(|| tile(index, state)) }
        });
        drop(finished);
        observer(Progress::Syncing);
        (written, recorder.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    // Tiles in the journal remain valid after the errors that return here, so that the next run resumes.
    let interrupted = || Error::Interrupted { part: parts[0].clone() };
    recorded.map_err(|e| if matches!(e, Error::Stopped) { interrupted() } else { e })?;
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

/// Refuses to overwrite files of the checkpoint, even with [`ExportOptions::overwrite`].
fn refuse_sources<'a>(checkpoint: &Checkpoint, written: impl Iterator<Item = &'a PathBuf>) -> Result<()> {
    let folder = checkpoint.dir();
    let mut sources: Vec<PathBuf> = io::list(folder)?.into_iter().map(|name| folder.join(name)).collect();
    sources.extend(checkpoint.shards().map(Path::to_owned));
    for path in written.filter(|path| io::is_there(path)) {
        // A GGUF in the checkpoint's folder is not a source.
        let read = |source: &&PathBuf| source.extension().is_some_and(|e| e == "safetensors" || e == "json");
        if sources.iter().filter(read).any(|source| io::is_same(source, path)) {
            return Err(Error::OutputIsSource { path: path.clone() });
        }
    }
    Ok(())
}

/// Opens and locks the unfinished files, keeping their content.
fn open_locked(parts: &[PathBuf]) -> Result<Vec<FileSink>> {
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

/// Returns the tiles that an earlier run finished. If there was none, creates the files and an empty journal.
fn begin(
    files: &[OutputFile],
    sinks: &[FileSink],
    options: &ExportOptions,
    (journal, identity): (&Path, &str),
    tiles: usize,
) -> Result<Vec<bool>> {
    // Another process may have finished the export before this one locked the files.
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
        // Removed before the files change: a journal must not describe other data.
        io::remove(journal)?;
    }
    for (sink, file) in sinks.iter().zip(files) {
        if fresh {
            // Some file systems flush a truncated file on close, even if it was empty, so empty files are not truncated.
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

/// Removes the unfinished files and the journal. Returns `reason`, or the error of the removal.
fn discard(sinks: Vec<FileSink>, parts: &[PathBuf], journal: &Path, reason: Error) -> Error {
    drop(sinks);
    let paths = parts.iter().map(PathBuf::as_path).chain([journal]);
    paths.map(io::remove).find_map(Result::err).unwrap_or(reason)
}

/// Removes unfinished files that are still empty.
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

fn check_space(files: &[OutputFile], parts: &[PathBuf], reclaimable: u64) -> Result<()> {
    let total: u64 = files.iter().map(|f| f.bytes).sum();
    let dir = parts[0].parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let available = io::available_space(dir)?;
    // Space that unfinished files of an earlier run occupy is reused.
    let reused: u64 = parts.iter().map(|p| io::allocated(p)).sum();
    let needed = total.saturating_sub(reused).saturating_sub(reclaimable);
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
