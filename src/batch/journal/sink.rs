//! A file to which rows are appended.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use super::scan::{Written, scan};
use super::wrong::wrong;
use crate::atomic;
use crate::batch::error::Error;

/// An open and locked file of rows; or a stream, whose rows cannot be read again.
#[derive(Debug)]
pub(super) struct Sink {
    pub(super) path: PathBuf,
    pub(super) file: File,
    /// Bytes of whole rows; a torn row may follow.
    pub(super) length: u64,
    /// Whether it is a stream.
    pub(super) stream: bool,
}

impl Sink {
    /// Opens or creates a file and locks it; `-` is standard output. Links are followed, so that all files of a batch are
    /// beside the real one.
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        if path.as_os_str() == "-" {
            let out = io::stdout().as_fd().try_clone_to_owned().map_err(wrong("open", path))?;
            return Ok(Self { path: path.to_owned(), file: out.into(), length: 0, stream: true });
        }
        let path = &atomic::resolve(path).map_err(wrong("open", path))?;
        loop {
            let is_new = !path.exists();
            // A pipe that is open for reading too has this process as a reader, and its rows go nowhere.
            let is_file = is_new || path.is_file();
            let file = OpenOptions::new()
                .read(is_file)
                .append(true)
                .create(is_file)
                .open(path)
                .map_err(wrong("open", path))?;
            let found = file.metadata().map_err(wrong("examine", path))?;
            if !found.is_file() {
                return Ok(Self { path: path.to_owned(), file, length: 0, stream: true });
            }
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(Error::Locked { path: path.to_owned() }),
                Err(TryLockError::Error(source)) => return Err(wrong("lock", path)(source)),
            }
            // Its last owner may have replaced the file before this one was locked.
            if !same_file(path, &file) {
                continue;
            }
            if is_new {
                atomic::sync_folder(path).map_err(wrong("sync the folder of", path))?;
            }
            atomic::sweep(atomic::folder(path));
            return Ok(Self { path: path.to_owned(), file, length: found.len(), stream: false });
        }
    }

    /// A temporary file without a name.
    pub(super) fn nameless() -> Result<Self, Error> {
        let path = PathBuf::from("a temporary file");
        let file = tempfile::tempfile().map_err(wrong("create", &path))?;
        Ok(Self { path, file, length: 0, stream: false })
    }

    /// Calls `each` with every row, and cuts off a torn one.
    pub(super) fn scan(
        &mut self,
        each: &mut dyn FnMut(&Written<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        if self.stream {
            return Ok(());
        }
        let mut file = &self.file;
        file.seek(SeekFrom::Start(0)).map_err(wrong("read", &self.path))?;
        let torn = scan(file, self.length, &self.path, each)?;
        torn.map_or(Ok(()), |begin| self.cut(begin))
    }

    /// Appends whole rows in one write, and returns where they begin. A failed write leaves no part of them.
    pub(super) fn append(&mut self, rows: &[u8]) -> Result<u64, Error> {
        if let Err(source) = self.file.write_all(rows) {
            if !self.stream {
                // The next run would cut off a torn row anyway.
                drop(self.file.set_len(self.length));
            }
            // Only standard output has this name: a named pipe that breaks is a failure.
            if source.kind() == io::ErrorKind::BrokenPipe && self.path.as_os_str() == "-" {
                return Err(Error::OutputClosed);
            }
            return Err(wrong("write", &self.path)(source));
        }
        let begin = self.length;
        self.length += rows.len() as u64;
        Ok(begin)
    }

    /// Syncs appended rows to the disk.
    pub(super) fn sync(&self) -> Result<(), Error> {
        if self.stream { Ok(()) } else { self.file.sync_data().map_err(wrong("sync", &self.path)) }
    }

    /// Cuts the file to this length.
    pub(super) fn cut(&mut self, length: u64) -> Result<(), Error> {
        self.file.set_len(length).map_err(wrong("truncate", &self.path))?;
        self.length = length;
        Ok(())
    }
}

/// Whether the path still refers to this file.
fn same_file(path: &Path, file: &File) -> bool {
    identity(fs::metadata(path)) == identity(file.metadata())
}

#[cfg(unix)]
pub(super) fn identity(found: io::Result<fs::Metadata>) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt as _;
    found.ok().map(|found| (found.dev(), found.ino()))
}

#[cfg(not(unix))]
pub(super) fn identity(found: io::Result<fs::Metadata>) -> Option<(u64, u64)> {
    found.ok().map(|_| (0, 0))
}
