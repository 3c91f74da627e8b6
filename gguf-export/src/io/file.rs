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

    /// The path it was opened by.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
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

/// Bytes free for this user on the disk that holds `path`.
///
/// # Errors
/// [`Error::Io`] if the system does not tell.
pub fn available_space(path: &Path) -> Result<u64> {
    fs4::available_space(path).map_err(Error::io("examine", path))
}
