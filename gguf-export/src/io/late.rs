//! Sources for files that are still being fetched: the first bytes of a file, and a file that the first read opens.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use super::{ByteSource, FileSource};
use crate::{Error, Result};

/// The first bytes of a longer file. Reads beyond them fail.
#[derive(Debug)]
pub struct Head<'a> {
    /// The file, for error messages.
    pub path: &'a Path,
    /// The bytes.
    pub bytes: &'a [u8],
    /// Length of the whole file in bytes.
    pub len: u64,
}

impl ByteSource for Head<'_> {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let start = usize::try_from(offset).ok();
        let range = start.and_then(|start| Some(start..start.checked_add(buffer.len())?));
        let bytes = range.and_then(|range| self.bytes.get(range)).ok_or_else(|| {
            let reason = format!("only its first {} bytes are available", self.bytes.len());
            let source = std::io::Error::new(std::io::ErrorKind::UnexpectedEof, reason);
            Error::io("read", self.path)(source)
        })?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }
}

/// A file that may not exist yet; the first read opens it.
///
/// [`ByteSource::close`] closes it, so that deleting the file frees its disk space; a later read opens it again.
#[derive(Debug)]
pub struct LateFile {
    path: PathBuf,
    len: u64,
    open: RwLock<Option<Arc<FileSource>>>,
}

impl LateFile {
    /// A file of `len` bytes. Reads fail if the file turns out to have another length.
    #[must_use]
    pub fn new(path: &Path, len: u64) -> Self {
        Self { path: path.to_owned(), len, open: RwLock::new(None) }
    }

    fn opened(&self) -> Option<Arc<FileSource>> {
        self.open.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn file(&self) -> Result<Arc<FileSource>> {
        if let Some(file) = self.opened() {
            return Ok(file);
        }
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = open.as_ref() {
            return Ok(file.clone());
        }
        let file = Arc::new(FileSource::open(&self.path)?);
        if file.len() != self.len {
            let reason = format!("it has {} bytes, expected {}", file.len(), self.len);
            let source = std::io::Error::new(std::io::ErrorKind::InvalidData, reason);
            return Err(Error::io("read", &self.path)(source));
        }
        *open = Some(file.clone());
        Ok(file)
    }
}

impl ByteSource for LateFile {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        self.file()?.read_at(offset, buffer)
    }

    fn close(&self) {
        *self.open.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn unchanged(&self) -> Result<()> {
        self.opened().map_or(Ok(()), |file| file.unchanged())
    }
}
