//! Byte sources and sinks in memory.

use std::path::Path;
use std::sync::Mutex;

use super::{ByteSink, ByteSource};
use crate::{Error, Result};

impl ByteSource for Vec<u8> {
    fn len(&self) -> u64 {
        self.as_slice().len() as u64
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let range =
            usize::try_from(offset).ok().and_then(|start| Some(start..start.checked_add(buffer.len())?));
        let bytes = range.and_then(|r| self.get(r)).ok_or_else(|| short("read"))?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }
}

impl ByteSink for Mutex<Vec<u8>> {
    fn set_len(&self, len: u64) -> Result<()> {
        let len = usize::try_from(len).map_err(|_| short("extend"))?;
        self.lock().unwrap_or_else(std::sync::PoisonError::into_inner).resize(len, 0);
        Ok(())
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> Result<()> {
        let mut bytes = self.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let start = usize::try_from(offset).map_err(|_| short("write"))?;
        let range = start..start.checked_add(data.len()).ok_or_else(|| short("write"))?;
        bytes.get_mut(range).ok_or_else(|| short("write"))?.copy_from_slice(data);
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        Ok(())
    }
}

fn short(action: &'static str) -> Error {
    Error::io(action, Path::new("memory"))(std::io::ErrorKind::UnexpectedEof.into())
}
