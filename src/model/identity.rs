//! The identity of a model and its engine, which a saved state must match.

use std::fmt::Debug;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use gguf_export::gguf;
use sha2::{Digest as _, Sha256};

use super::{LoadError, LoadOptions, Model, Rope, caps};
use crate::state::{Digest, Identity};

/// Bytes of each tensor that are hashed, because models may differ in their weights only.
const SAMPLE: u64 = 4096;

impl Model {
    /// The identity that saved states of this model's engine have. Reads the headers of its files and some bytes of each
    /// tensor.
    ///
    /// # Errors
    ///
    /// When the files can no longer be read.
    pub fn identity(&self) -> Result<Identity, LoadError> {
        let options = &self.options;
        let settings = (options.cache_k, options.cache_v, options.flash);
        let (rope, metadata) = (options.rope, &options.metadata);
        let as_in_file = rope == Rope::default() && metadata.is_empty();
        let engine = caps();
        Ok(Identity {
            model: weights_digest(self.path())?,
            engine: digest(&(engine.build, engine.patches)),
            settings: if as_in_file { digest(&settings) } else { digest(&(settings, rope, metadata)) },
        })
    }
}

/// A digest of a model as it is loaded: of its files, and of the options that replace the file's metadata, positions or
/// template.
///
/// # Errors
///
/// When a part cannot be read.
pub fn model_digest(options: &LoadOptions, template: Option<&str>) -> Result<Digest, LoadError> {
    let weights = weights_digest(&options.path)?;
    let (rope, metadata) = (options.rope, &options.metadata);
    let as_in_file = rope == Rope::default() && metadata.is_empty() && template.is_none();
    Ok(if as_in_file { weights } else { digest(&(weights, rope, metadata, template)) })
}

/// A digest of a model's files that does not depend on their paths: of headers, sizes, and some bytes of each tensor.
///
/// # Errors
///
/// When a part cannot be read.
pub fn weights_digest(path: &Path) -> Result<Digest, LoadError> {
    let mut digest = Sha256::new();
    for (path, header) in gguf::open_all(path)? {
        let failed = |source| LoadError::Read { path: path.clone(), source };
        let mut file = File::open(&path).map_err(failed)?;
        let mut add = |from: u64, count: u64| {
            let mut bytes = Vec::new();
            file.seek(SeekFrom::Start(from))?;
            (&mut file).take(count).read_to_end(&mut bytes)?;
            digest.update((bytes.len() as u64).to_le_bytes());
            digest.update(bytes);
            Ok(())
        };
        add(0, header.data_offset).map_err(failed)?;
        for tensor in &header.tensors {
            add(header.data_offset.saturating_add(tensor.offset), SAMPLE).map_err(failed)?;
        }
        digest.update(header.file_len().to_le_bytes());
    }
    Ok(digest.finalize().into())
}

fn digest(value: &impl Debug) -> Digest {
    Sha256::digest(format!("{value:?}")).into()
}
