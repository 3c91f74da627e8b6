//! Files behind two small traits, with errors that name the path. The only module that touches `std::fs`.

mod file;
mod late;
mod memory;

pub use file::{
    FileSink, FileSource, allocated, append, available_space, canonicalize, is_one_disk, is_same, is_there,
    list, read_to_string, remove, rename, truncate,
};
pub use late::{Head, LateFile};

use crate::Result;

/// Bytes that can be read from any place by several threads at once.
pub trait ByteSource: Sync + Send + std::fmt::Debug {
    /// Length in bytes.
    fn len(&self) -> u64;

    /// Whether there is nothing to read.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fills `buffer` from `offset`.
    ///
    /// # Errors
    /// [`crate::Error::Io`] if the range cannot be read whole.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()>;

    /// Lets go of what can be opened again, so that a deleted file gives its room back.
    fn close(&self) {}

    /// Refuses a source that was written to since it was opened; those that cannot tell do not.
    ///
    /// # Errors
    /// [`crate::Error::Io`] if it was.
    fn unchanged(&self) -> Result<()> {
        Ok(())
    }
}

/// A place of known size that can be written in any order by several threads at once.
pub trait ByteSink: Sync + Send + std::fmt::Debug {
    /// Sets the length in bytes; unwritten bytes are zero.
    ///
    /// # Errors
    /// [`crate::Error::Io`] if the system refuses.
    fn set_len(&self, len: u64) -> Result<()>;

    /// Writes all of `data` at `offset`.
    ///
    /// # Errors
    /// [`crate::Error::Io`] if the system refuses.
    fn write_at(&self, offset: u64, data: &[u8]) -> Result<()>;

    /// Returns when everything written is on the disk.
    ///
    /// # Errors
    /// [`crate::Error::Io`] if the system refuses.
    fn sync(&self) -> Result<()>;
}

/// Bytes as lower-case hexadecimal digits, as checksums are written.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let digit = |n: u8| char::from(b"0123456789abcdef"[usize::from(n)]);
    bytes.iter().flat_map(|b| [digit(b >> 4), digit(b & 15)]).collect()
}
