//! A bounded cursor over the start of a file: reads in steps, never past the end of the file or the size limit.

use std::path::Path;

use super::header::malformed;
use crate::io::ByteSource;
use crate::{Error, Result};

/// Size limit of a header in bytes. The largest vocabularies take about 20 MB.
const MAX_HEADER: u64 = 256 << 20;
/// Bytes per read.
const STEP: u64 = 64 << 10;

/// A cursor over the start of a file.
pub(super) struct Input<'a> {
    pub(super) path: &'a Path,
    source: &'a dyn ByteSource,
    /// Bytes of the file before the buffer's end.
    loaded: u64,
    end: u64,
    buffer: Vec<u8>,
    used: usize,
    /// Name of the item being read, for error messages.
    pub(super) place: String,
}

impl<'a> Input<'a> {
    pub(super) fn new(path: &'a Path, source: &'a dyn ByteSource) -> Self {
        let end = source.len().min(MAX_HEADER);
        Self {
            path,
            source,
            loaded: 0,
            end,
            buffer: Vec::new(),
            used: 0,
            place: "the first bytes".to_owned(),
        }
    }

    /// Bytes read so far.
    pub(super) fn position(&self) -> u64 {
        self.loaded - (self.buffer.len() - self.used) as u64
    }

    /// Bytes left before the end of the file or the size limit.
    pub(super) fn remaining(&self) -> u64 {
        self.end - self.position()
    }

    /// The next `n` bytes. Fails before allocating if fewer are left.
    pub(super) fn bytes(&mut self, n: u64) -> Result<&[u8]> {
        if n > self.remaining() {
            let left = self.remaining();
            return Err(self.malformed(format!("{left} bytes left for {}", self.place), &format!("{n}")));
        }
        let n = usize::try_from(n).map_err(|_| {
            self.malformed(format!("{n} bytes of {}", self.place), "a length that fits memory")
        })?;
        let buffered = self.buffer.len() - self.used;
        if buffered < n {
            self.buffer.drain(..self.used);
            self.used = 0;
            let more = STEP.max((n - buffered) as u64).min(self.end - self.loaded);
            let more = usize::try_from(more).map_err(|_| {
                self.malformed(format!("{n} bytes of {}", self.place), "a length that fits memory")
            })?;
            // A file decides how much: short memory is an error and must not end the process.
            self.buffer
                .try_reserve(more)
                .map_err(|_| Error::io("read", self.path)(std::io::ErrorKind::OutOfMemory.into()))?;
            self.buffer.resize(buffered + more, 0);
            self.source.read_at(self.loaded, &mut self.buffer[buffered..])?;
            self.loaded += more as u64;
        }
        self.used += n;
        Ok(&self.buffer[self.used - n..self.used])
    }

    /// The next `n` bytes, or fewer at the end; they are not consumed.
    pub(super) fn peek(&mut self, n: u64) -> Result<&[u8]> {
        let n = self.bytes(n.min(self.remaining()))?.len();
        self.used -= n;
        Ok(&self.buffer[self.used..self.used + n])
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut out = [0; N];
        out.copy_from_slice(self.bytes(N as u64)?);
        Ok(out)
    }

    pub(super) fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// A string: length as u64, then UTF-8 bytes.
    pub(super) fn string(&mut self) -> Result<String> {
        let n = self.u64()?;
        let bytes = self.bytes(n)?.to_vec();
        String::from_utf8(bytes)
            .map_err(|e| self.malformed(format!("{} that is not UTF-8: {e}", self.place), "UTF-8"))
    }

    /// Checks that the bytes left can hold `n` items of at least `each` bytes.
    pub(super) fn count(&self, n: u64, each: u64, what: &str) -> Result<()> {
        let room = self.remaining() / each;
        if n > room {
            return Err(self.malformed(format!("{n} {what}"), &format!("at most {room} in the bytes left")));
        }
        Ok(())
    }

    pub(super) fn malformed(&self, found: impl Into<String>, expected: &str) -> Error {
        malformed(self.path, found, expected)
    }
}
