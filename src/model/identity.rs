//! What a saved state must have in common with a model at work.

use std::fmt::Debug;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use gguf_export::gguf;
use sha2::{Digest as _, Sha256};

use super::{LoadError, Model, Rope, caps};
use crate::state::{Digest, Identity};

/// Bytes that are looked at of each tensor: headers of models that differ in their weights alone are the same.
const SAMPLE: u64 = 4096;

impl Model {
    /// What a saved state of this model's engine is told from others by. Reads the headers of its files and some bytes
    /// of each tensor.
    ///
    /// # Errors
    ///
    /// When the files cannot be read any more.
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

/// What tells a model's files from others, wherever they lie: their headers, lengths, and some bytes of each tensor.
///
/// # Errors
///
/// When a part cannot be read.
pub fn weights_digest(path: &Path) -> Result<Digest, LoadError> {
    let mut digest = Sha256::new();
    for (path, header) in gguf::open_all(path)? {
        let failed = |source| LoadError::Read { path: path.clone(), source };
        let mut file = File::open(&path).map_err(failed)?;
        let mut look = |from: u64, count: u64| {
            let mut bytes = Vec::new();
            file.seek(SeekFrom::Start(from))?;
            (&mut file).take(count).read_to_end(&mut bytes)?;
            digest.update((bytes.len() as u64).to_le_bytes());
            digest.update(bytes);
            Ok(())
        };
        look(0, header.data_offset).map_err(failed)?;
        for tensor in &header.tensors {
            look(header.data_offset.saturating_add(tensor.offset), SAMPLE).map_err(failed)?;
        }
        digest.update(header.file_len().to_le_bytes());
    }
    Ok(digest.finalize().into())
}

fn digest(value: &impl Debug) -> Digest {
    Sha256::digest(format!("{value:?}")).into()
}
