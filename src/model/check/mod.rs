//! Validates a file before llama.cpp loads it, because llama.cpp aborts the process on some invalid files.
//!
//! Every part is opened and its header parsed by our own reader. `hparams` and `vocab` refuse values on which llama.cpp
//! asserts, divides by zero or allocates without limit. `architectures` and `types` refuse architectures and tensors that
//! are not known, and types on which llama.cpp's operators assert; `tables` also checks all tensors of the architectures in
//! `families` against their hyperparameters, and the hyperparameters against the assertions of their graphs. In other
//! architectures llama.cpp does so, and names tensors that are missing.

mod architectures;
mod families;
mod limits;
mod overrides;
mod shared;
mod size;
mod slot;
mod tables;
mod types;
mod vocab;

use std::path::{Path, PathBuf};

use gguf_export::gguf::keys;
use gguf_export::{Error, gguf};

use super::hparams::HParams;
use super::{Header, LoadError, MetadataOverride};

/// Whether the architecture and the tensors of a file are checked before llama.cpp loads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TensorCheck {
    /// Refuse architectures and tensors that are not known, and types that llama.cpp's operators do not take.
    #[default]
    All,
    /// Leave the check to llama.cpp, which ends the process on some invalid files.
    Skip,
}

/// Reads the headers of all parts of a model, and refuses those that would crash llama.cpp.
///
/// # Errors
///
/// When a part is missing, unreadable, truncated or not a GGUF; when a metadata value is invalid; when a tensor is
/// missing or unexpected, or has the wrong shape or type.
pub fn check(path: &Path) -> Result<Header, LoadError> {
    check_with(path, &[], TensorCheck::All)
}

/// The same, with values that override those of the file, and with or without a check of the tensors.
///
/// # Errors
///
/// Also when a value has another type than the file's, so that llama.cpp would ignore it.
pub fn check_with(
    path: &Path,
    overrides: &[MetadataOverride],
    tensors: TensorCheck,
) -> Result<Header, LoadError> {
    let parts = gguf::open_all(path).map_err(|error| match error {
        Error::Io { path: failed, source, .. } if failed == path => LoadError::Read { path: failed, source },
        error => error.into(),
    })?;
    check_parts(path, parts, overrides, tensors)
}

/// The same for headers that were read.
pub(crate) fn check_parts(
    path: &Path,
    parts: Vec<(PathBuf, gguf::Header)>,
    overrides: &[MetadataOverride],
    tensors: TensorCheck,
) -> Result<Header, LoadError> {
    let mut header = Header::join(path, parts);
    refuse_others(&header)?;
    overrides::apply(&mut header, overrides)?;
    let hparams = HParams::read(&header)?;
    vocab::check(&header)?;
    match tensors {
        TensorCheck::All => check_tensors(&header, &hparams)?,
        TensorCheck::Skip => {}
    }
    Ok(header)
}

/// Refuses GGUF files that belong to a model and are not one.
fn refuse_others(header: &Header) -> Result<(), LoadError> {
    let text = |key| header.metadata.str(key).unwrap_or_default();
    let found = match (text("general.type"), text(keys::ARCHITECTURE)) {
        ("adapter", _) => "a LoRA adapter",
        ("mmproj", _) | (_, "clip") => "a multimodal projector",
        ("imatrix", _) => "an importance matrix",
        (_, "controlvector") => "a control vector",
        _ => return Ok(()),
    };
    Err(LoadError::NotAModel { path: header.path.clone(), found })
}

fn check_tensors(header: &Header, hparams: &HParams) -> Result<(), LoadError> {
    let architecture = &hparams.architecture;
    if !architectures::is_checked(architecture) {
        let (path, architecture) = (header.path.clone(), architecture.clone());
        return Err(LoadError::UnknownArchitecture { path, architecture });
    }
    if let Some(table) = families::table(architecture) {
        tables::check(table, header, hparams)?;
    }
    types::check(header)
}

#[cfg(test)]
#[path = "../../../fuzz/check.rs"]
mod fuzz;

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    use testkit::rng::Rng;

    #[test]
    fn any_header_is_checked_or_refused() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/model_check");
        let (mut seeds, mut valid, mut mutants) = (0, 0, 0);
        let mut random = Rng::named(7, "headers");
        for entry in fs::read_dir(folder).unwrap() {
            let bytes = fs::read(entry.unwrap().path()).unwrap();
            seeds += 1;
            valid += u32::from(fuzz::model_check(&bytes));
            for _ in 0..2000 {
                let mut mutant = bytes.clone();
                for _ in 0..=random.below(3) {
                    let at = random.below(mutant.len());
                    mutant[at] = random.bits().to_le_bytes()[0];
                }
                mutants += u32::from(fuzz::model_check(&mutant));
            }
        }
        assert!(
            seeds >= 17 && valid == 13 && mutants > 100,
            "{seeds} seeds, {valid} and {mutants} mutants are valid"
        );
    }

    #[test]
    fn other_files_are_refused_with_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.gguf");
        assert!(matches!(check(&path), Err(LoadError::Read { .. })));
        assert!(matches!(check(folder.path()), Err(LoadError::Read { .. })));
        for (bytes, is) in [
            (&b""[..], "is an empty file, expected a GGUF file"),
            (b"PK\x03\x04 and more", "is a zip archive, expected a GGUF file"),
            (b"<html>", "is an HTML page, expected a GGUF file"),
            (b"\x01\x02\x03\x04\x05", "first bytes `\\x01\\x02\\x03\\x04`, expected `GGUF`"),
        ] {
            fs::write(&path, bytes).unwrap();
            let error = check(&path).unwrap_err();
            assert!(matches!(error, LoadError::Header(_)), "{error}");
            assert!(error.to_string().contains(is), "{error}");
        }
        fs::write(&path, b"GGUF\x03\0\0\0").unwrap();
        assert!(matches!(check(&path), Err(LoadError::Header(_))));
    }
}
