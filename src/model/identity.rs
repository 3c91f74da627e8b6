//! What tells one model file from another, without reading all of it.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use gguf_export::gguf;
use sha2::{Digest, Sha256};

use super::LoadError;

/// Places where data is looked at, and how many bytes at each.
const PLACES: u64 = 64;
const BYTES: u64 = 1 << 16;

/// Sixteen digits that follow from a model's headers, its length and samples of its weights, wherever it lies.
///
/// # Errors
///
/// When a part cannot be read.
pub fn identity(path: &Path) -> Result<String, LoadError> {
    let mut hash = Sha256::new();
    for (path, header) in gguf::open_all(path)? {
        let read = |source| LoadError::Read { path: path.clone(), source };
        let mut file = File::open(&path).map_err(read)?;
        let length = file.metadata().map_err(read)?.len();
        hash.update(length.to_le_bytes());
        let data = length.saturating_sub(header.data_offset);
        let samples = (0..PLACES).map(|place| header.data_offset + data / PLACES * place);
        for (begin, bytes) in [(0, header.data_offset)].into_iter().chain(samples.map(|at| (at, BYTES))) {
            let mut sample = Vec::new();
            file.seek(SeekFrom::Start(begin))
                .and_then(|_| file.by_ref().take(bytes).read_to_end(&mut sample))
                .map_err(read)?;
            hash.update(sample);
        }
    }
    let digest: [u8; 32] = hash.finalize().into();
    Ok(format!("{:016x}", u64::from_be_bytes(digest.as_chunks::<8>().0[0])))
}
