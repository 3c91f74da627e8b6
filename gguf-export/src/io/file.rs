//! Byte sources and sinks on disk.
#![expect(clippy::disallowed_methods, reason = "the one place that opens files")]

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::{ByteSink, ByteSource};
use crate::{Error, Result};

/// A file that is read.
#[derive(Debug)]
pub struct FileSource {
    path: PathBuf,
    file: File,
    len: u64,
}

impl FileSource {
    /// Opens a regular file.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be opened or is not a regular file.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(Error::io("open", path))?;
        let meta = file.metadata().map_err(Error::io("examine", path))?;
        if !meta.is_file() {
            let source = std::io::Error::new(std::io::ErrorKind::InvalidInput, "it is not a regular file");
            return Err(Error::io("open", path)(source));
        }
        Ok(Self { path: path.to_owned(), file, len: meta.len() })
    }

    /// The path it was opened by.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Length and time of the last change in nanoseconds since 1970: what tells that a file is not the same.
    ///
    /// # Errors
    /// [`Error::Io`] if the system does not tell.
    pub fn stamp(&self) -> Result<(u64, u128)> {
        let changed = self.file.metadata().and_then(|m| m.modified()).map_err(Error::io("examine", &self.path))?;
        let since = changed.duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_nanos());
        Ok((self.len, since))
    }
}

impl ByteSource for FileSource {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        self.file.read_exact_at(buffer, offset).map_err(Error::io("read", &self.path))
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
    /// [`Error::Io`] if another process has it.
    pub fn lock(&self) -> Result<()> {
        self.file.try_lock().map_err(|e| {
            let source = match e {
                std::fs::TryLockError::WouldBlock => {
                    std::io::Error::new(std::io::ErrorKind::WouldBlock, "another process is writing it")
                }
                std::fs::TryLockError::Error(e) => e,
            };
            Error::io("lock", &self.path)(source)
        })
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
    let dir = to.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(dir).and_then(|d| d.sync_all()).map_err(Error::io("sync", dir))
}

/// Removes a file if it is there.
///
/// # Errors
/// [`Error::Io`] if the system refuses.
pub fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", path)(e)),
        _ => Ok(()),
    }
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

/// The path with every link resolved.
///
/// # Errors
/// [`Error::Io`] if it is not there.
pub fn canonicalize(path: &Path) -> Result<PathBuf> {
    std::fs::canonicalize(path).map_err(Error::io("find", path))
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

/// Bytes free for this user on the disk that holds `path`.
///
/// # Errors
/// [`Error::Io`] if the system does not tell.
pub fn available_space(path: &Path) -> Result<u64> {
    fs4::available_space(path).map_err(Error::io("examine", path))
}
