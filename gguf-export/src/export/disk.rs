//! The files of an export on the disk: the name that each has at present, and the changes at the start and at the end.

use std::path::{Path, PathBuf};

use super::journal;
use super::layout::OutputFile;
use super::options::ExportOptions;
use crate::gguf::Header;
use crate::io::{self, ByteSink, FileSink, FileSource};
use crate::{Error, Result};

/// The files of an export.
#[derive(Debug)]
pub(super) struct Disk<'a> {
    files: &'a [OutputFile],
    /// The name of each file before it is complete.
    pub(super) parts: Vec<PathBuf>,
    pub(super) journal: PathBuf,
    identity: String,
    tiles: usize,
    /// The present path of each file: its part, or the final one if an earlier run was interrupted while it renamed them.
    pub(super) at: Vec<PathBuf>,
    /// True if an earlier run finished all tiles and began to rename the files.
    is_complete: bool,
}

/// The journal of an export to `out`.
pub(super) fn journal_of(out: &Path) -> PathBuf {
    with_suffix(out, ".part.journal")
}

impl<'a> Disk<'a> {
    /// Finds out where the files are.
    ///
    /// # Errors
    /// [`Error::Lost`] or [`Error::OutputExists`] if an earlier run finished the files and one of them is not there, or is
    /// another one, and may not be written again.
    pub(super) fn locate(
        out: &Path,
        files: &'a [OutputFile],
        identity: String,
        tiles: usize,
        options: &ExportOptions,
    ) -> Result<Self> {
        let parts: Vec<PathBuf> = files.iter().map(|file| with_suffix(&file.path, ".part")).collect();
        let journal = journal_of(out);
        let mut disk = Self { files, at: parts.clone(), parts, journal, identity, tiles, is_complete: false };
        if options.resume && disk.earlier(options).is_some_and(|earlier| earlier.complete) {
            let renamed: Result<Vec<PathBuf>> =
                disk.parts.iter().zip(files).map(|(part, file)| present(part, file)).collect();
            match renamed {
                Ok(at) => (disk.at, disk.is_complete) = (at, true),
                Err(_) if options.overwrite || disk.is_gone() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(disk)
    }

    /// True if no file is left, finished or not: there is nothing to keep.
    fn is_gone(&self) -> bool {
        let names = self.parts.iter().zip(self.files).flat_map(|(part, file)| [part, &file.path]);
        names.into_iter().all(|name| !io::is_there(name))
    }

    /// All paths that may be written or removed.
    pub(super) fn paths(&self) -> impl Iterator<Item = &Path> {
        let finals = self.files.iter().map(|file| file.path.as_path());
        finals.chain(self.parts.iter().map(PathBuf::as_path)).chain([self.journal.as_path()])
    }

    /// Bytes that the files have yet to allocate, at most; `None` if they only have to be renamed.
    pub(super) fn missing_bytes(&self) -> Option<u64> {
        if self.is_complete {
            return None;
        }
        // Space that unfinished files of an earlier run occupy is reused.
        let missing = |(file, at): (&OutputFile, &PathBuf)| file.bytes.saturating_sub(io::allocated(at));
        Some(self.files.iter().zip(&self.at).map(missing).sum())
    }

    pub(super) fn check_space(&self, reclaimable: u64) -> Result<()> {
        let Some(missing) = self.missing_bytes() else { return Ok(()) };
        let dir = self.parts[0].parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let available = io::available_space(dir)?;
        let needed = missing.saturating_sub(reclaimable);
        if needed > available {
            return Err(Error::NoSpace { path: self.files[0].path.clone(), needed, available });
        }
        Ok(())
    }

    /// Opens and locks the files, and returns the tiles that an earlier run finished. If there was none, creates the files
    /// and an empty journal.
    pub(super) fn begin(self, options: &ExportOptions) -> Result<(Self, Vec<FileSink>, Vec<bool>)> {
        let sinks = self.open_locked()?;
        let begun = self.start(&sinks, options).inspect_err(|_| {
            if self.is_complete || io::is_there(&self.journal) {
                self.discard_empty(&sinks);
            } else {
                // Without a journal the content is useless. A failed removal must not mask the error.
                for part in &self.parts {
                    drop(io::remove(part));
                }
            }
        })?;
        Ok((self, sinks, begun))
    }

    /// Records that everything is synced, gives each file its final name, and removes `leftovers` and the journal.
    pub(super) fn finish(&self, leftovers: &[PathBuf]) -> Result<()> {
        if !self.is_complete {
            journal::complete(&self.journal)?;
        }
        for (at, file) in self.at.iter().zip(self.files).filter(|(at, file)| **at != file.path) {
            io::rename(at, &file.path)?;
        }
        // The journal goes last: while it exists, the next run continues here.
        leftovers.iter().try_for_each(|path| io::remove(path))?;
        io::remove(&self.journal)
    }

    /// Removes the unfinished files and the journal, unless an earlier run finished the files and some are renamed. Returns
    /// `reason`, or the error of the removal.
    pub(super) fn discard(&self, sinks: Vec<FileSink>, reason: Error) -> Error {
        drop(sinks);
        if self.is_complete {
            return reason;
        }
        let paths = self.parts.iter().chain([&self.journal]);
        paths.map(|path| io::remove(path)).find_map(Result::err).unwrap_or(reason)
    }

    /// The tiles that the next run does not write again.
    pub(super) fn done(&self, options: &ExportOptions) -> Vec<bool> {
        let sizes: Vec<u64> = self.at.iter().map(|at| io::size(at)).collect();
        self.resumable(&sizes, options).map_or_else(|| vec![false; self.tiles], |earlier| earlier.done)
    }

    /// What an earlier run did, if its files, which have these sizes, are still whole.
    fn resumable(&self, sizes: &[u64], options: &ExportOptions) -> Option<journal::Earlier> {
        let is_whole = sizes.iter().zip(self.files).all(|(size, file)| *size == file.bytes);
        if options.resume && is_whole { self.earlier(options) } else { None }
    }

    fn earlier(&self, options: &ExportOptions) -> Option<journal::Earlier> {
        journal::read(&self.journal, &self.identity, self.tiles, options.prove)
    }

    /// Refuses to replace a file that is not one of this export.
    pub(super) fn refuse_existing(&self, options: &ExportOptions) -> Result<()> {
        let is_foreign = |(file, at): &(&OutputFile, &PathBuf)| **at != file.path && file.path.exists();
        match self.files.iter().zip(&self.at).find(is_foreign).filter(|_| !options.overwrite) {
            Some((file, _)) => Err(Error::OutputExists { path: file.path.clone() }),
            None => Ok(()),
        }
    }

    /// Opens and locks the files, keeping their content.
    fn open_locked(&self) -> Result<Vec<FileSink>> {
        let open = |path: &PathBuf| {
            let sink = FileSink::open(path)?;
            sink.lock()?;
            Ok(sink)
        };
        let mut sinks = Vec::new();
        for path in &self.at {
            sinks.push(open(path).inspect_err(|_| self.discard_empty(&sinks))?);
        }
        Ok(sinks)
    }

    fn start(&self, sinks: &[FileSink], options: &ExportOptions) -> Result<Vec<bool>> {
        // Another process may have finished the export before this one locked the files.
        self.refuse_existing(options)?;
        let sizes = sinks.iter().map(FileSink::size).collect::<Result<Vec<u64>>>()?;
        let earlier = self.resumable(&sizes, options);
        if self.is_complete && !earlier.as_ref().is_some_and(|earlier| earlier.complete) {
            return Err(Error::OutputExists { path: self.files[0].path.clone() });
        }
        match &earlier {
            Some(earlier) => earlier.trim(&self.journal)?,
            // Removed before the files change: a journal must not describe other data.
            None => io::remove(&self.journal)?,
        }
        for ((sink, file), at) in sinks.iter().zip(self.files).zip(&self.at) {
            if earlier.is_none() {
                // Some file systems flush a truncated file on close, even if it was empty, so empty files are not truncated.
                if sink.size()? > 0 {
                    sink.set_len(0)?;
                }
                sink.set_len(file.bytes)?;
            }
            if *at != file.path {
                sink.write_at(0, &file.header.encode())?;
            }
        }
        let Some(earlier) = earlier else {
            journal::start(&self.journal, &self.identity)?;
            return Ok(vec![false; self.tiles]);
        };
        Ok(earlier.done)
    }

    /// Removes unfinished files that are still empty.
    fn discard_empty(&self, sinks: &[FileSink]) {
        for (_, part) in sinks.iter().zip(&self.parts).filter(|(sink, _)| sink.size().is_ok_and(|n| n == 0)) {
            drop(io::remove(part));
        }
    }
}

/// The path of a file of a complete export: its part if that has the right size, or the final path if the file there has
/// the right size and header.
fn present(part: &Path, file: &OutputFile) -> Result<PathBuf> {
    let lost = |found: String| Error::Lost { path: part.to_owned(), found };
    if io::is_there(part) {
        let bytes = FileSource::open(part)?.stamp().0;
        let found = || lost(format!("{bytes} bytes long instead of {}", file.bytes));
        return if bytes == file.bytes { Ok(part.to_owned()) } else { Err(found()) };
    }
    if !io::is_there(&file.path) {
        return Err(lost("missing".to_owned()));
    }
    let source = FileSource::open(&file.path)?;
    let is_own = source.stamp().0 == file.bytes
        && Header::read(&file.path, &source).is_ok_and(|header| header == file.header);
    if is_own { Ok(file.path.clone()) } else { Err(Error::OutputExists { path: file.path.clone() }) }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
