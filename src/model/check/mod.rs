//! Looks at a file before llama.cpp does, which ends the process on some broken ones.
//!
//! Here: every part is opened and its header read by our own reader. `hparams` and `vocab` refuse numbers on which
//! llama.cpp asserts, divides by zero or allocates without limit; `qwen3next` holds the tensors of that architecture
//! against its numbers. Tensors of other architectures are left to llama.cpp, which names what is missing.

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

/// Reads the headers of a model in all its parts and refuses what llama.cpp would not survive.
///
/// # Errors
///
/// When a part is missing, unreadable, cut short or something else; when a number of the metadata cannot be; when a
/// tensor is missing, surplus, of a shape or a type that its place does not take.
pub fn check(path: &Path) -> Result<Header, LoadError> {
    check_with(path, &[])
}

/// The same, with other values than the file has.
///
/// # Errors
///
/// Also when a value is of another kind than the file's, so that llama.cpp would ignore it.
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

/// A file of another kind gets an error of its own: most often it is another file.
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
    fn what_is_not_a_model_is_refused_with_the_reason() {
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
