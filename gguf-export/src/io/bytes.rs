//! The two traits through which the crate reads and writes.

use crate::Result;

/// Bytes that several threads can read at any offset.
pub trait ByteSource: Sync + Send + std::fmt::Debug {
    /// Length in bytes.
    fn len(&self) -> u64;

    /// Returns true if the length is 0.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fills `buffer` with the bytes from `offset`.
    ///
    /// # Errors
    /// [`crate::Error::Io`] if any part of the range cannot be read.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()>;

    /// Closes the file if a later read can open it again, so that deleting the file frees its disk space.
    fn close(&self) {}

    /// Checks that the source was not modified since it was opened. The default implementation always succeeds.
    ///
    /// # Errors
    /// [`crate::Error::Io`] if it was modified.
    fn unchanged(&self) -> Result<()> {
        Ok(())
    }
}

/// A destination of known size that several threads can write in any order.
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

    /// Syncs all written data to the disk.
    ///
    /// # Errors
    /// [`crate::Error::Io`] if the system refuses.
    fn sync(&self) -> Result<()>;
}
