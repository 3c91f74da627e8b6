//! Counts the tiles that need each shard, and releases shards that no tile needs any longer.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Needed, Supply};
use crate::checkpoint::Checkpoint;
use crate::{Error, Result};

/// Counts the unfinished tiles of each shard.
pub(crate) struct Ledger<'a> {
    checkpoint: &'a Checkpoint,
    supply: &'a dyn Supply,
    /// The shards that each tile needs.
    needs: &'a [Vec<usize>],
    /// The number of unfinished tiles of each shard.
    left: Vec<usize>,
    /// Shards without unfinished tiles that are not yet released.
    finished: Vec<usize>,
}

impl<'a> Ledger<'a> {
    /// Announces the needed shards to the supply. `done` marks the tiles that an earlier run finished.
    pub(crate) fn open(
        checkpoint: &'a Checkpoint,
        supply: &'a dyn Supply,
        needs: &'a [Vec<usize>],
        done: &[bool],
    ) -> Self {
        let mut left = vec![0; checkpoint.shards().count()];
        // The first and the last tile that needs a shard.
        let mut span: BTreeMap<usize, (usize, usize)> = BTreeMap::new();
        for (tile, needs) in needs.iter().enumerate().filter(|(tile, _)| !done[*tile]) {
            for &shard in needs {
                left[shard] += 1;
                span.entry(shard).or_insert((tile, tile)).1 = tile;
            }
        }
        let mut order: Vec<(usize, usize, usize)> =
            span.iter().map(|(&shard, &(first, last))| (first, shard, last)).collect();
        order.sort_unstable();
        let needed = |(at, &(first, shard, _)): (usize, &(usize, usize, usize))| {
            let with = order[..at].iter().filter(|(.., last)| *last >= first);
            Needed { shard, with: with.map(|(_, shard, _)| *shard).collect() }
        };
        let needed: Vec<Needed> = order.iter().enumerate().map(needed).collect();
        supply.needed(&needed);
        Self { checkpoint, supply, needs, left, finished: Vec::new() }
    }

    /// Counts a finished tile. Returns true if it was the last tile of a shard.
    pub(crate) fn count(&mut self, tile: usize) -> bool {
        let before = self.finished.len();
        for &shard in &self.needs[tile] {
            self.left[shard] -= 1;
            if self.left[shard] == 0 {
                self.finished.push(shard);
            }
        }
        self.finished.len() > before
    }

    /// Releases the shards without unfinished tiles. All counted tiles must be synced to the disk.
    pub(crate) fn release(&mut self) -> Result<()> {
        self.finished.sort_unstable();
        for shard in std::mem::take(&mut self.finished) {
            self.checkpoint.close(shard);
            self.supply.done(shard)?;
        }
        Ok(())
    }
}

/// Reports a failure or a panic to the supply, so that no thread waits for a shard that will not be provided.
pub(crate) struct Watch<'a> {
    supply: &'a dyn Supply,
    has_failed: AtomicBool,
}

impl<'a> Watch<'a> {
    pub(crate) fn new(supply: &'a dyn Supply) -> Self {
        Self { supply, has_failed: AtomicBool::new(false) }
    }

    /// Runs a part of the export. Returns success if it was stopped by the failure of another part, so that the
    /// original error is the one reported.
    pub(crate) fn run(&self, work: impl FnOnce() -> Result<()>) -> Result<()> {
        struct ReportFailure<'w, 'a> {
            watch: &'w Watch<'a>,
            is_armed: bool,
        }
        impl Drop for ReportFailure<'_, '_> {
            fn drop(&mut self) {
                if self.is_armed {
                    self.watch.has_failed.store(true, Ordering::SeqCst);
                    self.watch.supply.failed();
                }
            }
        }
        let mut report = ReportFailure { watch: self, is_armed: true };
        let done = work();
        let is_consequence = matches!(done, Err(Error::Stopped)) && self.has_failed.load(Ordering::SeqCst);
        report.is_armed = done.is_err() && !is_consequence;
        if is_consequence { Ok(()) } else { done }
    }
}
