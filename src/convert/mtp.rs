//! The MTP layer of another repository, beside a checkpoint that has none.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use gguf_export::arch::MTP_PREFIXES;
use gguf_export::checkpoint::{Checkpoint, Identity, Shard, head_bytes};
use gguf_export::io::{ByteSource as _, FileSource};

use super::error::Error;
use super::types::Origin;
use crate::hub::{Event, mtp_layer};

/// Fetches the layer into a file of a folder, where an interrupted run resumes.
///
/// # Errors
///
/// When the checkpoint has one, the repository has none, or it does not arrive.
pub fn borrow(
    Origin { hub, repo }: Origin<'_>,
    checkpoint: &Checkpoint,
    folder: &Path,
    stop: &AtomicBool,
    observer: &(dyn Fn(Event<'_>) + Sync),
) -> Result<Shard, Error> {
    if MTP_PREFIXES.iter().any(|prefix| checkpoint.any_with_prefix(prefix)) {
        return Err(Error::HasMtp { repo: repo.clone() });
    }
    let fetch = || {
        let listing = hub.listing(repo, stop, observer)?;
        let own = checkpoint.config().get("quantization_config");
        mtp_layer(hub, (repo, &listing), own, folder, stop, observer)
    };
    let found = fetch().map_err(|source| Error::Mtp { repo: Box::new(repo.clone()), source })?;
    found.ok_or_else(|| Error::NoMtp { repo: repo.clone() })
}

/// A folder's checkpoint with one more shard.
///
/// # Errors
///
/// When one of its files cannot be read, or a tensor is in both.
pub fn beside(checkpoint: &Checkpoint, borrowed: Shard) -> gguf_export::Result<Checkpoint> {
    let own = |(path, bytes, identity): (&Path, u64, Identity)| -> gguf_export::Result<Shard> {
        let source = FileSource::open(path)?;
        let mut first = [0; 8];
        source.read_at(0, &mut first)?;
        let length = head_bytes(first).min(bytes);
        let mut head = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
        source.read_at(0, &mut head)?;
        Ok(Shard { path: path.to_owned(), head, bytes, identity, source: Arc::new(source), only: None })
    };
    let mut shards = checkpoint.identities().map(own).collect::<gguf_export::Result<Vec<_>>>()?;
    shards.push(borrowed);
    Checkpoint::assemble(checkpoint.dir(), shards)
}

/// Removes the file of a borrowed layer.
///
/// # Errors
///
/// When it cannot be removed.
pub fn remove(file: &Path) -> Result<(), Error> {
    std::fs::remove_file(file).map_err(|source| Error::Remove { path: file.to_owned(), source })
}
