//! File access behind two small traits, with errors that name the path. The only module that uses `std::fs`.

mod bytes;
mod file;
pub(crate) mod kill;
mod late;
mod memory;

pub use bytes::{ByteSink, ByteSource};
pub use file::{
    FileSink, FileSource, allocated, append, available_space, canonicalize, is_one_disk, is_same, is_there,
    list, read_to_string, remove, rename, size, sync_folder, truncate,
};
pub use late::{Head, LateFile};

/// Bytes as lower-case hexadecimal digits, the usual form of checksums.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let digit = |n: u8| char::from(b"0123456789abcdef"[usize::from(n)]);
    bytes.iter().flat_map(|b| [digit(b >> 4), digit(b & 15)]).collect()
}
