//! Validates a file before llama.cpp loads it, because llama.cpp aborts the process on some invalid files.
//!
//! Every part is opened and its header parsed by our own reader. `hparams` and `vocab` refuse values on which llama.cpp
//! asserts, divides by zero or allocates without limit; `qwen3next` checks the tensors of that architecture against its
//! hyperparameters. Tensors of other architectures are checked by llama.cpp, which names missing ones.

mod overrides;
mod qwen3next;
mod types;
mod vocab;

use std::fs::File;
use std::io::Read;
use std::path::Path;

use gguf_export::gguf;

use super::hparams::HParams;
use super::{Header, LoadError, MetadataOverride};

const MAGIC: &[u8] = b"GGUF";

/// Reads the headers of all parts of a model, and refuses those that would crash llama.cpp.
///
/// # Errors
///
/// When a part is missing, unreadable, truncated or not a GGUF; when a metadata value is invalid; when a tensor is
/// missing or unexpected, or has the wrong shape or type.
pub fn check(path: &Path) -> Result<Header, LoadError> {
    check_with(path, &[])
}

/// The same, with values that override those of the file.
///
/// # Errors
///
/// Also when a value has another type than the file's, so that llama.cpp would ignore it.
pub fn check_with(path: &Path, overrides: &[MetadataOverride]) -> Result<Header, LoadError> {
    magic(path)?;
    let parts = gguf::open_all(path)?;
    let mut header = Header::join(path, parts);
    overrides::apply(&mut header, overrides)?;
    let hparams = HParams::read(&header)?;
    vocab::check(&header)?;
    types::check(&header)?;
    if hparams.architecture == qwen3next::NAME {
        qwen3next::check(&header, &hparams)?;
    }
    Ok(header)
}

/// Checks the magic bytes, because a file of another format gets its own error.
fn magic(path: &Path) -> Result<(), LoadError> {
    let read = |source| LoadError::Read { path: path.to_owned(), source };
    let mut begins = Vec::new();
    File::open(path).and_then(|file| file.take(4).read_to_end(&mut begins)).map_err(read)?;
    if begins == MAGIC { Ok(()) } else { Err(LoadError::NotGguf { path: path.to_owned(), begins }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn other_files_are_refused_with_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.gguf");
        assert!(matches!(check(&path), Err(LoadError::Read { .. })));
        assert!(matches!(check(folder.path()), Err(LoadError::Read { .. })));
        for bytes in [&b""[..], b"GG", b"PK\x03\x04 and more"] {
            fs::write(&path, bytes).unwrap();
            let error = check(&path).unwrap_err();
            assert!(
                matches!(&error, LoadError::NotGguf { begins, .. } if bytes.starts_with(begins)),
                "{error}"
            );
        }
        fs::write(&path, b"GGUF\x03\0\0\0").unwrap();
        assert!(matches!(check(&path), Err(LoadError::Header(_))));
    }
}
