//! The two hashes that name files on the hub: SHA-256 for large files, git's SHA-1 of a blob for others.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use sha1::Sha1;
use sha2::{Digest, Sha256};

/// Computes a file's hash.
#[derive(Debug, Clone)]
pub enum Hasher {
    /// For a large file.
    Sha256(Sha256),
    /// For any other file.
    Git(Sha1),
}

impl Hasher {
    /// A hasher of the same kind as `hash`, for a file of `bytes` bytes; `None` if `hash` is of neither kind.
    #[must_use]
    pub fn like(hash: &str, bytes: u64) -> Option<Self> {
        match hash.len() {
            _ if !hash.bytes().all(|c| c.is_ascii_hexdigit()) => None,
            64 => Some(Self::Sha256(Sha256::new())),
            40 => Some(Self::Git(Sha1::new_with_prefix(format!("blob {bytes}\0")))),
            _ => None,
        }
    }

    /// Adds the next bytes of the file.
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Git(hasher) => hasher.update(bytes),
        }
    }

    /// The hash, in lower case.
    #[must_use]
    pub fn finish(self) -> String {
        match self {
            Self::Sha256(hasher) => hex(&hasher.finalize()),
            Self::Git(hasher) => hex(&hasher.finalize()),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    let digit = |n: u8| char::from(b"0123456789abcdef"[usize::from(n)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// The hash of a file, of the same kind as `hash`; `None` if `hash` is of neither kind or `stop` was set. `read` is
/// called with the number of bytes that were read.
///
/// # Errors
///
/// When the file cannot be read.
pub fn of_file(
    path: &Path,
    hash: &str,
    stop: &AtomicBool,
    mut read: impl FnMut(u64),
) -> io::Result<Option<String>> {
    let mut file = File::open(path)?;
    let Some(mut hasher) = Hasher::like(hash, file.metadata()?.len()) else { return Ok(None) };
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer) {
            _ if stop.load(Ordering::Relaxed) => return Ok(None),
            Ok(0) => return Ok(Some(hasher.finish())),
            Ok(n) => {
                hasher.update(&buffer[..n]);
                read(n as u64);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The SHA-256 of a file, as bytes; `None` if `stop` was set.
///
/// # Errors
///
/// When the file cannot be read.
pub(super) fn sha256(path: &Path, stop: &AtomicBool) -> io::Result<Option<[u8; 32]>> {
    Ok(of_file(path, &"0".repeat(64), stop, |_| {})?.map(|text| bytes(&text)))
}

/// 64 hexadecimal digits as bytes.
pub(super) fn bytes(digits: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks(2)) {
        let pair = str::from_utf8(pair).unwrap_or_default();
        *byte = u8::from_str_radix(pair, 16).unwrap_or_default();
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_equal_those_of_git_and_sha256sum() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a");
        std::fs::write(&file, "hello\n").unwrap();
        let go = AtomicBool::new(false);
        // Made with `git hash-object` and `sha256sum`.
        for hash in [
            "ce013625030ba8dba906f756967f9e9ca394464a",
            "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03",
        ] {
            let mut read = 0;
            assert_eq!(of_file(&file, hash, &go, |n| read += n).unwrap().as_deref(), Some(hash));
            assert_eq!(read, 6);
        }
        let digest = sha256(&file, &go).unwrap().unwrap();
        assert_eq!((digest[..2].to_vec(), digest[31]), (vec![0x58, 0x91], 0x03));
        assert_eq!(of_file(&file, "abc", &go, |_| {}).unwrap(), None);
        assert_eq!(of_file(&file, &"0".repeat(64), &AtomicBool::new(true), |_| {}).unwrap(), None);
        assert!(of_file(&folder.path().join("b"), &"0".repeat(64), &go, |_| {}).is_err());
    }
}
