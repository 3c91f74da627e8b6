//! The interface of shard providers, and the one for shards that all exist.

use std::path::Path;

use crate::Result;

/// Provides the shards of a checkpoint, for example by fetching them. Shards are indices into
/// [`Checkpoint::shards`](crate::checkpoint::Checkpoint::shards).
///
/// Several threads may wait for different shards at once. A wait for a shard does not delay the release of earlier
/// shards, except those in [`Needed::with`]: a supply that provides shards in order may keep a single shard at a time, and
/// `with` in addition.
pub trait Supply: Sync {
    /// Called first, once per pass over the shards (an export is one pass), with the shards that are needed, in the order
    /// in which they are waited for. All others are released, such as those that an interrupted run finished.
    fn needed(&self, shards: &[Needed]);

    /// Returns when a shard is complete and can be read. Called before every tile.
    ///
    /// # Errors
    /// [`crate::Error::Stopped`] if the operation is to stop, [`crate::Error::Supply`] if the shard cannot be provided.
    fn wait(&self, shard: usize) -> Result<()>;

    /// Called once per shard to release it: everything made from it is synced to the disk, and verified if
    /// [`prove`](crate::ExportOptions::prove) is set; it will not be read again.
    ///
    /// # Errors
    /// [`crate::Error::Supply`] if the shard cannot be released.
    fn done(&self, shard: usize) -> Result<()>;

    /// Bytes that the release of shards will free on the disk of `output`. The export counts them as free space.
    fn reclaimable(&self, output: &Path) -> u64 {
        let _ = output;
        0
    }

    /// Called when the operation has failed, possibly more than once, and also after a panic. Every wait must return
    /// [`crate::Error::Stopped`] soon, since shards that block it may never be released. Calls of [`done`](Self::done)
    /// for finished shards may follow.
    fn failed(&self);
}

/// A shard that will be waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needed {
    /// The shard.
    pub shard: usize,
    /// Earlier shards that are released only after this one is provided, because a tile needs both, or a later tile
    /// needs the earlier one.
    pub with: Vec<usize>,
}

/// The supply of a checkpoint whose shards all exist and are kept.
#[derive(Debug, Clone, Copy)]
pub struct Present;

impl Supply for Present {
    fn needed(&self, _: &[Needed]) {}

    fn wait(&self, _: usize) -> Result<()> {
        Ok(())
    }

    fn done(&self, _: usize) -> Result<()> {
        Ok(())
    }

    fn failed(&self) {}
}
