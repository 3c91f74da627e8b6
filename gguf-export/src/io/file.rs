//! Byte sources and sinks on disk, and the other file operations of the crate.
#![expect(clippy::disallowed_methods, reason = "the one place that opens files")]

use std::fs::{File, OpenOptions, TryLockError};
use std::io::Read;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::kill::step;
use super::{ByteSink, ByteSource};
use crate::format::{Format, HEAD};
use crate::{Error, Result};

/// How often a lock that is held is tried, and the pause between two tries.
const LOCK_TRIES: u32 = 40;
const LOCK_PAUSE: Duration = Duration::from_millis(5);

/// A file opened for reading.
#[derive(Debug)]
pub struct FileSource {
    path: PathBuf,
    file: File,
    len: u64,
    /// Modification time in nanoseconds since 1970.
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
        // Checked before opening as well: opening a pipe would wait for a writer.
        regular(&std::fs::metadata(path).map_err(Error::io("open", path))?)?;
        let file = File::open(path).map_err(Error::io("open", path))?;
        let meta = file.metadata().map_err(Error::io("examine", path))?;
        regular(&meta)?;
        Ok(Self { path: path.to_owned(), file, len: meta.len(), changed: last_change(&meta) })
    }

    /// The path by which it was opened.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Length in bytes and modification time in nanoseconds since 1970, both as of opening. A file that changes
    /// afterwards has another stamp.
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

/// A file opened for writing.
#[derive(Debug)]
pub struct FileSink {
    path: PathBuf,
    file: File,
}

impl FileSink {
    /// Opens a file for writing, keeping its content, or creates it.
    ///
    /// # Errors
    /// [`Error::Io`] if the system refuses.
    pub fn open(path: &Path) -> Result<Self> {
        let open = || OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let file = step().and_then(|()| open()).map_err(Error::io("create", path))?;
        Ok(Self { path: path.to_owned(), file })
    }

    /// Locks the file for this process until it is closed.
    ///
    /// A process that another thread has just started holds the lock of a closed file until it runs its program, so a
    /// lock that is held is tried again for a moment.
    ///
    /// # Errors
    /// [`Error::Io`] if another process holds the lock, or held it and has renamed the file since.
    pub fn lock(&self) -> Result<()> {
        let busy = || std::io::Error::new(std::io::ErrorKind::WouldBlock, "another process is writing it");
        let mut tries = 1;
        loop {
            let source = match self.file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if tries < LOCK_TRIES => {
                    tries += 1;
                    std::thread::sleep(LOCK_PAUSE);
                    continue;
                }
                Err(TryLockError::WouldBlock) => busy(),
                Err(TryLockError::Error(e)) => e,
            };
            return Err(Error::io("lock", &self.path)(source));
        }
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
    /// [`Error::Io`] if the file cannot be examined.
    pub fn size(&self) -> Result<u64> {
        self.file.metadata().map(|m| m.len()).map_err(Error::io("examine", &self.path))
    }
}

impl ByteSink for FileSink {
    fn set_len(&self, len: u64) -> Result<()> {
        step().and_then(|()| self.file.set_len(len)).map_err(Error::io("extend", &self.path))
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> Result<()> {
        step().and_then(|()| self.file.write_all_at(data, offset)).map_err(Error::io("write", &self.path))
    }

    fn sync(&self) -> Result<()> {
        step().and_then(|()| self.file.sync_data()).map_err(Error::io("sync", &self.path))
    }
}

/// Modification time in nanoseconds since 1970.
fn last_change(meta: &std::fs::Metadata) -> u128 {
    (i128::from(meta.mtime()) * 1_000_000_000 + i128::from(meta.mtime_nsec())).unsigned_abs()
}

/// Reads a whole text file of at most `max` bytes, without a byte-order mark at its start.
///
/// # Errors
/// [`Error::Io`] if it cannot be read, is longer than `max` or is not UTF-8; [`Error::OtherFormat`] for an HTML page, a git
/// LFS pointer, an archive or text in UTF-16.
pub fn read_to_string(path: &Path, max: u64) -> Result<String> {
    let source = FileSource::open(path)?;
    if source.len > max {
        let reason = format!("it has {} bytes, the limit is {max}", source.len);
        return Err(Error::io("read", path)(std::io::Error::new(std::io::ErrorKind::InvalidData, reason)));
    }
    let mut bytes = Vec::new();
    source.file.take(max).read_to_end(&mut bytes).map_err(Error::io("read", path))?;
    if let Some(found) = Format::of(&bytes[..bytes.len().min(HEAD)]).filter(Format::is_wrong_text) {
        let expected =
            if path.extension().is_some_and(|ext| ext == "json") { "JSON" } else { "text in UTF-8" };
        return Err(Error::OtherFormat { path: path.to_owned(), found, expected });
    }
    let text = String::from_utf8(bytes).map_err(|_| {
        let reason = "its bytes are not UTF-8";
        Error::io("read", path)(std::io::Error::new(std::io::ErrorKind::InvalidData, reason))
    })?;
    Ok(match text.strip_prefix('\u{feff}') {
        Some(text) => text.to_owned(),
        None => text,
    })
}

/// Renames a file, and syncs the folder so that the new name survives a power failure.
///
/// # Errors
/// [`Error::Io`] if the system refuses.
pub fn rename(from: &Path, to: &Path) -> Result<()> {
    step().and_then(|()| std::fs::rename(from, to)).map_err(Error::io("rename", from))?;
    sync_folder(to)
}

/// Removes a file if it exists, and syncs the folder.
///
/// # Errors
/// [`Error::Io`] if the system refuses.
pub fn remove(path: &Path) -> Result<()> {
    match step().and_then(|()| std::fs::remove_file(path)) {
        Ok(()) => sync_folder(path),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(Error::io("remove", path)(e)),
    }
}

/// Syncs the folder of a file, so that changes of names survive a power failure.
///
/// # Errors
/// [`Error::Io`] if the system refuses.
pub fn sync_folder(path: &Path) -> Result<()> {
    let dir = path.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."));
    step().and_then(|()| File::open(dir)).and_then(|d| d.sync_all()).map_err(Error::io("sync", dir))
}

/// Truncates a file to `len` bytes.
///
/// # Errors
/// [`Error::Io`] if the system refuses.
pub fn truncate(path: &Path, len: u64) -> Result<()> {
    let open = step().and_then(|()| OpenOptions::new().write(true).open(path));
    let cut = open.and_then(|file| file.set_len(len));
    cut.map_err(Error::io("truncate", path))
}

/// Appends text to a file, creating the file if needed, and syncs it.
///
/// # Errors
/// [`Error::Io`] if the system refuses.
pub fn append(path: &Path, text: &str) -> Result<()> {
    let open = || OpenOptions::new().append(true).create(true).open(path);
    let mut file = step().and_then(|()| open()).map_err(Error::io("create", path))?;
    let mut write = || std::io::Write::write_all(&mut file, text.as_bytes());
    step().and_then(|()| write()).map_err(Error::io("write", path))?;
    step().and_then(|()| file.sync_data()).map_err(Error::io("sync", path))
}

/// Returns true if a folder entry of this name exists, a dangling symbolic link included.
#[must_use]
pub fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// The path with every symbolic link resolved.
///
/// # Errors
/// [`Error::Io`] if it does not exist.
pub fn canonicalize(path: &Path) -> Result<PathBuf> {
    std::fs::canonicalize(path).map_err(Error::io("find", path))
}

/// Returns true if two paths lead to the same file, hard and symbolic links included; false if either does not exist.
#[must_use]
pub fn is_same(one: &Path, other: &Path) -> bool {
    let id = |path: &Path| std::fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()));
    id(one).is_some_and(|one| id(other) == Some(one))
}

/// Returns true if two paths are on the same file system. A path that does not exist yet counts by its nearest existing
/// ancestor; false if a path cannot be examined.
#[must_use]
pub fn is_one_disk(one: &Path, other: &Path) -> bool {
    let disk = |path: &Path| {
        let path = std::path::absolute(path).ok()?;
        path.ancestors().find_map(|path| std::fs::metadata(path).ok()).map(|meta| meta.dev())
    };
    disk(one).is_some_and(|one| disk(other) == Some(one))
}

/// Names of the entries of a folder, in no particular order; names that are not valid Unicode are skipped.
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

/// The length of a file in bytes; 0 if it does not exist.
#[must_use]
pub fn size(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |m| m.len())
}

/// Bytes that a file occupies on disk, fewer than its length if it is sparse; 0 if it does not exist.
#[must_use]
pub fn allocated(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |m| m.blocks().saturating_mul(512))
}

/// Bytes available to this user on the file system that holds `path`.
///
/// # Errors
/// [`Error::Io`] if the file system cannot be examined.
pub fn available_space(path: &Path) -> Result<u64> {
    fs4::available_space(path).map_err(Error::io("examine", path))
}
