//! Byte sources and sinks on disk.
#![expect(clippy::disallowed_methods, reason = "the one place that opens files")]

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::{ByteSink, ByteSource};
use crate::{Error, Result};

/// A file that is read.
#[derive(Debug)]
pub struct FileSource {
    path: PathBuf,
    file: File,
    len: u64,
    /// Nanoseconds from 1970 to the last change.
    changed: u128,
}

impl FileSource {
    /// Opens a regular file.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be opened or is not a regular file.
    pub fn open(path: &Path) -> Result<Self> {
        let regular = |meta: &std::fs::Metadata| {
            let source = std::io::Error::new(std::io::ErrorKind::InvalidInput, "it is not a regular file");
            if meta.is_file() { Ok(()) } else { Err(Error::io("open", path)(source)) }
        };
        // Before it is opened, too: a pipe would wait for a writer.
        regular(&std::fs::metadata(path).map_err(Error::io("open", path))?)?;
        let file = File::open(path).map_err(Error::io("open", path))?;
        let meta = file.metadata().map_err(Error::io("examine", path))?;
        regular(&meta)?;
        Ok(Self { path: path.to_owned(), file, len: meta.len(), changed: last_change(&meta) })
    }

    /// The path it was opened by.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Length and time of the last change in nanoseconds since 1970, when the file was opened: what tells that a
    /// file is not the same.
    #[must_use]
    pub fn stamp(&self) -> (u64, u128) {
        (self.len, self.changed)
    }
}

impl ByteSource for FileSource {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        self.file.read_exact_at(buffer, offset).map_err(Error::io("read", &self.path))
    }

    fn unchanged(&self) -> Result<()> {
        let meta = self.file.metadata().map_err(Error::io("examine", &self.path))?;
        if (meta.len(), last_change(&meta)) == (self.len, self.changed) {
            return Ok(());
        }
        let source =
            std::io::Error::new(std::io::ErrorKind::InvalidData, "it has changed since it was opened");
        Err(Error::io("read", &self.path)(source))
    }
}

/// A file that is written.
#[derive(Debug)]
pub struct FileSink {
    path: PathBuf,
    file: File,
}

impl FileSink {
    /// Opens a file for writing, keeping what it holds, or creates it.
    ///
    /// # Errors
    /// [`Error::Io`] if the system refuses.
    pub fn open(path: &Path) -> Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(Error::io("create", path))?;
        Ok(Self { path: path.to_owned(), file })
    }

    /// Takes the file for this process alone until it is closed.
    ///
    /// # Errors
    /// [`Error::Io`] if another process has it, or had it and gave it another name.
    pub fn lock(&self) -> Result<()> {
        let busy = || std::io::Error::new(std::io::ErrorKind::WouldBlock, "another process is writing it");
        self.file.try_lock().map_err(|e| {
            let source = match e {
                std::fs::TryLockError::WouldBlock => busy(),
                std::fs::TryLockError::Error(e) => e,
            };
            Error::io("lock", &self.path)(source)
        })?;
        let place = |meta: std::fs::Metadata| (meta.dev(), meta.ino());
        let mine = self.file.metadata().map(place).map_err(Error::io("examine", &self.path))?;
        if std::fs::metadata(&self.path).map(place).ok() == Some(mine) {
            return Ok(());
        }
        Err(Error::io("lock", &self.path)(busy()))
    }

    /// Length in bytes.
    ///
    /// # Errors
    /// [`Error::Io`] if the system does not tell.
    pub fn size(&self) -> Result<u64> {
        self.file.metadata().map(|m| m.len()).map_err(Error::io("examine", &self.path))
    }
}

impl ByteSink for FileSink {
    fn set_len(&self, len: u64) -> Result<()> {
        self.file.set_len(len).map_err(Error::io("extend", &self.path))
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> Result<()> {
        self.file.write_all_at(data, offset).map_err(Error::io("write", &self.path))
    }

    fn sync(&self) -> Result<()> {
        self.file.sync_data().map_err(Error::io("sync", &self.path))
    }
}

/// Nanoseconds from 1970 to a file's last change.
fn last_change(meta: &std::fs::Metadata) -> u128 {
    (i128::from(meta.mtime()) * 1_000_000_000 + i128::from(meta.mtime_nsec())).unsigned_abs()
}

/// Reads a whole text file of at most `max` bytes.
///
/// # Errors
/// [`Error::Io`] if it cannot be read, is longer than `max` or is not UTF-8.
pub fn read_to_string(path: &Path, max: u64) -> Result<String> {
    let source = FileSource::open(path)?;
    if source.len > max {
        let reason = format!("it has {} bytes, at most {max} are read", source.len);
        return Err(Error::io("read", path)(std::io::Error::new(std::io::ErrorKind::InvalidData, reason)));
    }
    let mut text = String::new();
    source.file.take(max).read_to_string(&mut text).map_err(Error::io("read", path))?;
    Ok(text)
}

/// Gives a finished file its final name and returns when the folder knows it.
///
/// # Errors
/// [`Error::Io`] if the system refuses.
pub fn rename(from: &Path, to: &Path) -> Result<()> {
    std::fs::rename(from, to).map_err(Error::io("rename", from))?;
    sync_folder(to)
}

/// Removes a file if it is there and returns when the folder knows it.
///
/// # Errors
/// [`Error::Io`] if the system refuses.
pub fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Ok(()) => sync_folder(path),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(Error::io("remove", path)(e)),
    }
}

fn sync_folder(path: &Path) -> Result<()> {
    let dir = path.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(dir).and_then(|d| d.sync_all()).map_err(Error::io("sync", dir))
}

/// Cuts a file off after `len` bytes.
///
/// # Errors
/// [`Error::Io`] if the system refuses.
pub fn truncate(path: &Path, len: u64) -> Result<()> {
    let cut = OpenOptions::new().write(true).open(path).and_then(|file| file.set_len(len));
    cut.map_err(Error::io("cut", path))
}

/// Appends a line to a file and returns when it is on the disk.
///
/// # Errors
/// [`Error::Io`] if the system refuses.
pub fn append(path: &Path, text: &str) -> Result<()> {
    let mut file =
        OpenOptions::new().append(true).create(true).open(path).map_err(Error::io("create", path))?;
    std::io::Write::write_all(&mut file, text.as_bytes()).map_err(Error::io("write", path))?;
    file.sync_data().map_err(Error::io("sync", path))
}

/// Whether a folder has an entry of this name, be it a link to nothing.
#[must_use]
pub fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// The path with every link resolved.
///
/// # Errors
/// [`Error::Io`] if it is not there.
pub fn canonicalize(path: &Path) -> Result<PathBuf> {
    std::fs::canonicalize(path).map_err(Error::io("find", path))
}

/// Whether two paths are one file, by whatever links; false if either is not there.
#[must_use]
pub fn is_same(one: &Path, other: &Path) -> bool {
    let id = |path: &Path| std::fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()));
    id(one).is_some_and(|one| id(other) == Some(one))
}

/// Whether two paths are on one disk, those that are not there yet by the nearest folder that is. False where the system
/// does not tell.
#[must_use]
pub fn is_one_disk(one: &Path, other: &Path) -> bool {
    let disk = |path: &Path| {
        let path = std::path::absolute(path).ok()?;
        path.ancestors().find_map(|path| std::fs::metadata(path).ok()).map(|meta| meta.dev())
    };
    disk(one).is_some_and(|one| disk(other) == Some(one))
}

/// Names of the entries of a folder that are valid Unicode, in no order.
///
/// # Errors
/// [`Error::Io`] if it cannot be listed.
pub fn list(dir: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(Error::io("list", dir))? {
        names.extend(entry.map_err(Error::io("list", dir))?.file_name().into_string().ok());
    }
    Ok(names)
}

/// Bytes that a file takes on its disk, which is less than its length where it has holes; 0 if it is not there.
#[must_use]
pub fn allocated(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |m| m.blocks().saturating_mul(512))
}

/// Bytes free for this user on the disk that holds `path`.
///
/// # Errors
/// [`Error::Io`] if the system does not tell.
pub fn available_space(path: &Path) -> Result<u64> {
    fs4::available_space(path).map_err(Error::io("examine", path))
}
