//! Writes the GGUF of a plan: headers first, then tiles in any order.
//!
//! Data is written to `NAME.part`, and finished tiles are recorded in `NAME.part.journal`, from which the same call
//! resumes after an interruption. When everything is synced to the disk, that is recorded as well, and the files are renamed
//! to their final names; an interruption between two of these renames loses nothing.

mod disk;
mod journal;
mod layout;
mod options;
mod order;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;

pub(crate) use journal::parse_journal;
pub use layout::OutputFile;
pub use options::ExportOptions;

use disk::Disk;
use layout::Place;

use crate::checkpoint::Checkpoint;
use crate::io::{self, ByteSink, FileSink};
use crate::plan::Plan;
use crate::progress::{Observer, Progress};
use crate::supply::{Ledger, Present, Supply, Watch};
use crate::transcode::{Scratch, fill};
use crate::verify::{Proof, Report};
use crate::{Error, Result, pool};

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
/// [`Error::OutputExists`], [`Error::OutputIsSource`], [`Error::NoSpace`] and [`Error::Readings`] before anything is written.
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
    let (places, needs) = order::by_shard(checkpoint, plan, layout::places(plan, &files));
    let identity = journal::identity(checkpoint, plan, &files);
    let disk = Disk::locate(out, &files, identity, places.len(), options)?;
    disk.refuse_existing(options)?;
    refuse_sources(checkpoint, disk.paths())?;
    disk.check_space(supply.reclaimable(out))?;
    if options.prove {
        Proof::agree(checkpoint, plan)?;
    }
    let (disk, sinks, done) = disk.begin(options)?;
    let total: u64 = places.iter().map(|p| p.bytes).sum();
    let resumed = places.iter().zip(&done).filter(|(_, d)| **d).map(|(p, _)| p.bytes).sum();
    observer(Progress::Planned { bytes: total, tensors: plan.tensors.len(), resumed });

    let mut ledger = Ledger::open(checkpoint, supply, &needs, &done);
    let headers = disk.at.iter().zip(&files).map(|(path, file)| (path.clone(), file.header.clone()));
    let headers: Vec<_> = headers.collect();
    let proof = if options.prove { Some(Proof::new(&headers)?) } else { None };
    let watch = Watch::new(supply);

    let (written, recorded) = thread::scope(|scope| {
        let (finished, tiles) = mpsc::channel();
        let record = || journal::write(&disk.journal, &sinks, tiles, &mut ledger, options.prove);
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
    let interrupted = || Error::Interrupted { part: disk.parts[0].clone() };
    recorded.map_err(|e| if matches!(e, Error::Stopped) { interrupted() } else { e })?;
    match written {
        Ok(()) if !stop.load(Ordering::Relaxed) => {}
        Ok(()) | Err(Error::Stopped) => return Err(interrupted()),
        Err(e @ (Error::Io { .. } | Error::Supply { .. } | Error::Differs { .. })) => return Err(e),
        Err(e) => return Err(disk.discard(sinks, e)),
    }
    if let Err(e) = checkpoint.unchanged() {
        return Err(disk.discard(sinks, e));
    }
    let report = if let Some(proof) = &proof { Some(proof.report(plan)?) } else { None };
    disk.finish(&options.remove_at_end)?;
    observer(Progress::Finished);
    Ok(Exported { files: files.into_iter().map(|f| f.path).collect(), report })
}

/// What an export has yet to write and to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// Bytes that its files have yet to allocate on the disk, at most.
    pub bytes: u64,
    /// The shards that unfinished tiles need.
    pub shards: BTreeSet<usize>,
}

/// What the next run of an export has to write and to read. `None` if an earlier run wrote everything and was interrupted
/// while it renamed the files.
///
/// # Errors
/// As [`outputs`].
pub fn missing(
    checkpoint: &Checkpoint,
    plan: &Plan,
    out: &Path,
    options: &ExportOptions,
) -> Result<Option<Missing>> {
    let files = outputs(plan, out, options)?;
    let identity = journal::identity(checkpoint, plan, &files);
    let (places, needs) = order::by_shard(checkpoint, plan, layout::places(plan, &files));
    let disk = Disk::locate(out, &files, identity, places.len(), options)?;
    let Some(bytes) = disk.missing_bytes() else { return Ok(None) };
    let done = disk.done(options);
    let unfinished = needs.into_iter().zip(done).filter(|(_, done)| !done);
    Ok(Some(Missing { bytes, shards: unfinished.flat_map(|(needs, _)| needs).collect() }))
}

/// Returns true if an earlier run to this output was interrupted.
#[must_use]
pub fn is_unfinished(out: &Path) -> bool {
    io::is_there(&disk::journal_of(out))
}

/// Refuses to overwrite files of the checkpoint, even with [`ExportOptions::overwrite`].
fn refuse_sources<'a>(checkpoint: &Checkpoint, written: impl Iterator<Item = &'a Path>) -> Result<()> {
    let folder = checkpoint.dir();
    let mut sources: Vec<PathBuf> = io::list(folder)?.into_iter().map(|name| folder.join(name)).collect();
    sources.extend(checkpoint.shards().map(Path::to_owned));
    for path in written.filter(|path| io::is_there(path)) {
        // A GGUF in the checkpoint's folder is not a source.
        let read = |source: &&PathBuf| source.extension().is_some_and(|e| e == "safetensors" || e == "json");
        if sources.iter().filter(read).any(|source| io::is_same(source, path)) {
            return Err(Error::OutputIsSource { path: path.to_owned() });
        }
    }
    Ok(())
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

#[cfg(test)]
mod tests;
