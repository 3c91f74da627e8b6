//! Looks at a file before llama.cpp does, which ends the process on some broken ones.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::LoadError;

const MAGIC: &[u8] = b"GGUF";

/// Refuses what is certainly not a model.
///
/// For now: the file is there, can be read and begins like a GGUF file. The place for a full check of header,
/// metadata and tensor table by our own reader.
///
/// # Errors
///
/// When it is missing, unreadable, or something else.
pub fn check(path: &Path) -> Result<(), LoadError> {
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
        assert!(check(&path).is_ok());
    }
}
