//! Writes the GGUF that a plan describes: headers first, then tiles in any order, each at its place.
//!
//! Data goes to `NAME.part`, and what is finished into `NAME.part.journal`, from which the same call goes on after
//! an interruption. A file gets its final name when all of it is on the disk.

mod journal;
mod layout;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use journal::Journal;
pub use layout::OutputFile;
use layout::Place;

use crate::checkpoint::Checkpoint;
use crate::io::{self, ByteSink, FileSink};
use crate::plan::Plan;
use crate::progress::{Observer, Progress};
use crate::transcode::{Scratch, fill};
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
}

impl Default for ExportOptions {
    fn default() -> Self {
        Self { threads: 1, overwrite: false, resume: true, split_max_bytes: None }
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
/// [`Error::OutputExists`], [`Error::NoSpace`], [`Error::Interrupted`], [`Error::Io`]; [`Error::Tensor`] for data
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
    let files = outputs(plan, out, options)?;
    if let Some(file) = files.iter().find(|f| f.path.exists()).filter(|_| !options.overwrite) {
        return Err(Error::OutputExists { path: file.path.clone() });
    }
    let places = layout::places(plan, &files);
    let journal_path = with_suffix(out, ".part.journal");
    let parts: Vec<PathBuf> = files.iter().map(|f| with_suffix(&f.path, ".part")).collect();
    let identity = journal::identity(checkpoint, &files)?;
    let old = if options.resume { journal::read(&journal_path, &identity, places.len()) } else { None };
    let done = old.filter(|_| parts.iter().all(|p| p.exists()));
    let resumed: u64 = match &done {
        Some(done) => places.iter().zip(done).filter(|(_, d)| **d).map(|(p, _)| p.bytes).sum(),
        None => 0,
    };
    check_space(&files, &parts, resumed)?;
    let total: u64 = places.iter().map(|p| p.bytes).sum();
    observer(Progress::Planned { bytes: total, tensors: plan.tensors.len(), resumed });

    let sinks = open(&files, &parts, done.is_some())?;
    if done.is_none() {
        io::remove(&journal_path)?;
        io::append(&journal_path, &identity)?;
    }
    let done = done.unwrap_or_else(|| vec![false; places.len()]);
    let journal = Journal::new(&journal_path, &sinks);
    let written = pool::each(places.len(), options.threads, stop, Default::default, |index, state| {
        if done[index] {
            return Ok(());
        }
        write(checkpoint, plan, &places[index], &sinks, state)?;
        observer(Progress::Advanced { tensor: &plan.tensors[places[index].tensor].name, bytes: places[index].bytes });
        journal.finished(index, places[index].bytes)
    });
    let stopped = stop.load(Ordering::Relaxed);
    match written {
        Ok(()) if !stopped => {}
        Ok(()) => {
            journal.flush()?;
            return Err(Error::Interrupted { part: parts[0].clone() });
        }
        Err(e @ Error::Io { .. }) => {
            // The disk may be full; what is on it is still good.
            drop(journal.flush());
            return Err(e);
        }
        Err(e) => {
            drop(sinks);
            parts.iter().chain([&journal_path]).try_for_each(|p| io::remove(p))?;
            return Err(e);
        }
    }
    observer(Progress::Syncing);
    sinks.iter().try_for_each(ByteSink::sync)?;
    for (part, file) in parts.iter().zip(&files) {
        io::rename(part, &file.path)?;
    }
    io::remove(&journal_path)?;
    observer(Progress::Finished);
    Ok(files.into_iter().map(|f| f.path).collect())
}

fn open(files: &[OutputFile], parts: &[PathBuf], resumed: bool) -> Result<Vec<FileSink>> {
    let mut sinks = Vec::new();
    for (file, part) in files.iter().zip(parts) {
        let sink = FileSink::open(part)?;
        sink.lock()?;
        if !resumed {
            sink.set_len(0)?;
        }
        sink.set_len(file.bytes)?;
        sink.write_at(0, &file.header.encode())?;
        sinks.push(sink);
    }
    Ok(sinks)
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

fn check_space(files: &[OutputFile], parts: &[PathBuf], resumed: u64) -> Result<()> {
    let total: u64 = files.iter().map(|f| f.bytes).sum();
    let dir = parts[0].parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let available = io::available_space(dir)?;
    let needed = total.saturating_sub(resumed);
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
