//! Shards that are brought one after the other, and let go of as soon as nothing needs them any more.

mod ledger;

pub(crate) use ledger::{Ledger, Watch};

use std::path::Path;

use crate::Result;

/// What brings the shards of a checkpoint. Shards are named by their place in [`Checkpoint::shards`](crate::checkpoint::Checkpoint::shards).
///
/// Threads may wait for different shards at once. Whoever waits for a shard keeps none of those before it from being
/// done, except for [`Needed::with`]: a supply that brings shards in order may let one come only when no others are there.
pub trait Supply: Sync {
    /// Told before anything else, once for each walk over the shards (an export is one): the shards that are needed at all, in the order in which they are waited for. All
    /// others are done, such as those of which an interrupted run wrote everything.
    fn needed(&self, shards: &[Needed]);

    /// Returns when the whole of a shard is there and can be read. Asked before every tile.
    ///
    /// # Errors
    /// [`crate::Error::Stopped`] if the caller wants an end, [`crate::Error::Supply`] if it does not come.
    fn wait(&self, shard: usize) -> Result<()>;

    /// Told once a shard: everything that is made from it is on the disk for good, proven where that was asked for, and
    /// it is not going to be read again.
    ///
    /// # Errors
    /// [`crate::Error::Supply`] if it cannot be let go of.
    fn done(&self, shard: usize) -> Result<()>;

    /// Bytes that will be given back, as shards are done, on the disk that `output` goes to: it need not have room for all
    /// of it now.
    fn gives_back(&self, output: &Path) -> u64 {
        let _ = output;
        0
    }

    /// Told when the export has failed: every wait must return [`crate::Error::Stopped`] soon, for what it waits for may
    /// never be done. Those that have served already may still be. Can be told more than once, by a panic, too.
    fn failed(&self);
}

/// A shard that is going to be waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needed {
    /// The shard.
    pub shard: usize,
    /// Shards before it that are not done before it has come: something is made from both, or from one of them later.
    pub with: Vec<usize>,
}

/// Shards that are all there and stay.
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
