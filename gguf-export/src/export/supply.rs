//! Shards that are brought one after the other, and let go of as soon as nothing needs them any more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};

use super::layout::Place;
use crate::checkpoint::Checkpoint;
use crate::plan::{Content, Plan};
use crate::{Error, Result};

/// What brings the shards of a checkpoint. Shards are named by their place in [`Checkpoint::shards`].
///
/// Threads may wait for different shards at once. Whoever waits for a shard keeps none of those before it from being
/// done, except for [`Needed::with`]: a supply that brings shards in order may let one come only when no others are there.
pub trait Supply: Sync {
    /// Told once, before anything else: the shards that are needed at all, in the order in which they are waited for. All
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

/// Tells the supply of a failure, be it a panic, so that nobody waits for what cannot come any more.
pub(super) struct Watch<'a> {
    supply: &'a dyn Supply,
    has_failed: AtomicBool,
}

impl<'a> Watch<'a> {
    pub(super) fn new(supply: &'a dyn Supply) -> Self {
        Self { supply, has_failed: AtomicBool::new(false) }
    }

    /// Runs a part of the export.
    pub(super) fn over(&self, work: impl FnOnce() -> Result<()>) -> Result<()> {
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

/// Tiles with the shards that each is made from, ascending, in the order in which the last of these are needed; those that
/// are made from an earlier one, too, come first, so that it can go soon.
pub(super) fn in_order(
    checkpoint: &Checkpoint,
    plan: &Plan,
    places: Vec<Place>,
) -> (Vec<Place>, Vec<Vec<usize>>) {
    let of = |weight: &crate::quant::Weight| -> BTreeSet<usize> {
        weight.tensors().into_iter().map(|id| checkpoint.shard_of(id)).collect()
    };
    let weights: Vec<BTreeSet<usize>> = plan.weights.iter().map(of).collect();
    let needs = |place: &Place| -> Vec<usize> {
        let tensor = &plan.tensors[place.tensor];
        let (mut needs, mut first) = (BTreeSet::new(), 0);
        for piece in &tensor.pieces {
            let last = first + piece.rows;
            let is_inside = first < place.rows.end && last > place.rows.start;
            if is_inside || tensor.content == Content::Factors {
                needs.extend(&weights[piece.weight as usize]);
            }
            first = last;
        }
        needs.into_iter().collect()
    };
    let mut both: Vec<(Place, Vec<usize>)> = places
        .into_iter()
        .map(|place| {
            let needs = needs(&place);
            (place, needs)
        })
        .collect();
    both.sort_by_key(|(_, needs)| (needs.last().copied(), needs.first().copied()));
    both.into_iter().unzip()
}

/// Counts the tiles that each shard still has to serve.
pub(super) struct Ledger<'a> {
    supply: &'a dyn Supply,
    needs: &'a [Vec<usize>],
    left: Vec<usize>,
    /// Served, and not yet let go of.
    over: Vec<usize>,
}

impl<'a> Ledger<'a> {
    /// Tells the supply what is needed. `done` are the tiles of an earlier run.
    pub(super) fn open(
        supply: &'a dyn Supply,
        shards: usize,
        needs: &'a [Vec<usize>],
        done: &[bool],
    ) -> Self {
        let mut left = vec![0; shards];
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
        Self { supply, needs, left, over: Vec::new() }
    }

    /// Counts a finished tile. True if a shard has served its last one.
    pub(super) fn count(&mut self, tile: usize) -> bool {
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
    pub(super) fn release(&mut self) -> Result<()> {
        self.over.sort_unstable();
        std::mem::take(&mut self.over).into_iter().try_for_each(|shard| self.supply.done(shard))
    }
}
