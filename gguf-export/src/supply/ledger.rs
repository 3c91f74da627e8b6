//! Keeps count of what shards still have to serve, and tells their supply.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Needed, Supply};
use crate::checkpoint::Checkpoint;
use crate::{Error, Result};

/// Counts the tiles that each shard still has to serve.
pub(crate) struct Ledger<'a> {
    checkpoint: &'a Checkpoint,
    supply: &'a dyn Supply,
    needs: &'a [Vec<usize>],
    left: Vec<usize>,
    /// Served, and not yet let go of.
    over: Vec<usize>,
}

impl<'a> Ledger<'a> {
    /// Tells the supply what is needed. `done` are the tiles of an earlier run.
    pub(crate) fn open(
        checkpoint: &'a Checkpoint,
        supply: &'a dyn Supply,
        needs: &'a [Vec<usize>],
        done: &[bool],
    ) -> Self {
        let mut left = vec![0; checkpoint.shards().count()];
        // The first and the last tile that a shard serves.
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
        Self { checkpoint, supply, needs, left, over: Vec::new() }
    }

    /// Counts a finished tile. True if a shard has served its last one.
    pub(crate) fn count(&mut self, tile: usize) -> bool {
        let before = self.over.len();
        for &shard in &self.needs[tile] {
            self.left[shard] -= 1;
            if self.left[shard] == 0 {
                self.over.push(shard);
            }
        }
        self.over.len() > before
    }

    /// Lets go of what has served: all tiles that were counted are on the disk.
    pub(crate) fn release(&mut self) -> Result<()> {
        self.over.sort_unstable();
        for shard in std::mem::take(&mut self.over) {
            self.checkpoint.close(shard);
            self.supply.done(shard)?;
        }
        Ok(())
    }
}

/// Tells the supply of a failure, be it a panic, so that nobody waits for what cannot come any more.
pub(crate) struct Watch<'a> {
    supply: &'a dyn Supply,
    has_failed: AtomicBool,
}

impl<'a> Watch<'a> {
    pub(crate) fn new(supply: &'a dyn Supply) -> Self {
        Self { supply, has_failed: AtomicBool::new(false) }
    }

    /// Runs a part of the export.
    pub(crate) fn over(&self, work: impl FnOnce() -> Result<()>) -> Result<()> {
        struct Unless<'w, 'a>(&'w Watch<'a>, bool);
        impl Drop for Unless<'_, '_> {
            fn drop(&mut self) {
                if !self.1 {
                    self.0.has_failed.store(true, Ordering::SeqCst);
                    self.0.supply.failed();
                }
            }
        }
        let mut unless = Unless(self, false);
        let done = work();
        // What others stop for is no failure of its own: the first one is what is reported.
        let is_echo = matches!(done, Err(Error::Stopped)) && self.has_failed.load(Ordering::SeqCst);
        unless.1 = done.is_ok() || is_echo;
        if is_echo { Ok(()) } else { done }
    }
}
