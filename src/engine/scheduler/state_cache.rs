//! Which states of sequences are cached, within a budget of memory.

use super::seq::seq;
use crate::engine::job::Job;
use crate::engine::slot::{Slot, SlotCachedState};
use crate::engine::{CachedState, SeqOp, StateId};

/// The cached states of all slots.
#[derive(Debug)]
pub(super) struct StateCache {
    budget: u64,
    /// The size of the largest state so far, which the next one is assumed to have.
    size: u64,
    next: u64,
    requested: Vec<Requested>,
    released: Vec<StateId>,
}

/// A state that the running step caches.
#[derive(Debug)]
struct Requested {
    slot: usize,
    state: StateId,
    length: usize,
    used: u64,
}

impl StateCache {
    pub(super) fn new(budget: u64) -> Self {
        Self { budget, size: 0, next: 0, requested: Vec::new(), released: Vec::new() }
    }

    /// Whether any state fits into the budget.
    pub(super) fn any(&self) -> bool {
        self.budget >= self.size.max(1)
    }

    pub(super) fn budget(&self) -> u64 {
        self.budget
    }

    /// Where reading must stop next so that a state can be cached.
    pub(super) fn stop(&self, job: &Job, done: usize) -> usize {
        if !self.any() {
            return usize::MAX;
        }
        job.boundaries.iter().copied().find(|&at| at > done).unwrap_or(usize::MAX)
    }

    /// Requests the state of a slot that has reached a boundary; the least recently used states are released to make
    /// room.
    pub(super) fn cache_at_boundary(&mut self, index: usize, slots: &mut [Slot], ops: &mut Vec<SeqOp>) {
        let Some(job) = &slots[index].job else { return };
        if job.boundaries.contains(&slots[index].history.len()) {
            self.cache(index, job.turn, slots, ops);
        }
    }

    /// Requests the state of a slot at its current length.
    pub(super) fn cache(&mut self, index: usize, used: u64, slots: &mut [Slot], ops: &mut Vec<SeqOp>) {
        let length = slots[index].history.len();
        let cached = slots[index].states.iter().any(|state| state.length == length);
        if cached || !self.make_room(slots) {
            return;
        }
        let state = StateId(self.next);
        self.next += 1;
        ops.push(SeqOp::CacheState { seq: seq(index), state });
        self.requested.push(Requested { slot: index, state, length, used });
    }

    /// Records the states that were cached.
    pub(super) fn commit(&mut self, cached: &[CachedState], slots: &mut [Slot]) {
        for Requested { slot, state, length, used } in std::mem::take(&mut self.requested) {
            let Some(&CachedState { bytes, .. }) = cached.iter().find(|cached| cached.state == state) else {
                continue;
            };
            self.size = self.size.max(bytes);
            slots[slot].states.push(SlotCachedState { state, length, bytes, used });
            slots[slot].states.sort_unstable_by_key(|state| state.length);
        }
        while total(slots) > self.budget && self.evict(slots) {}
    }

    /// Discards the states that a failed step should have cached.
    pub(super) fn abandon(&mut self) {
        self.released
            .extend(std::mem::take(&mut self.requested).into_iter().map(|requested| requested.state));
    }

    /// Releases the states of a slot beyond a length; another slot with the same tokens takes them over.
    pub(super) fn release(&mut self, slots: &mut [Slot], index: usize, length: usize) {
        let late: Vec<SlotCachedState> =
            slots[index].states.extract_if(.., |state| state.length > length).collect();
        for state in late {
            let (before, after) = slots.split_at_mut(index);
            let Some((slot, after)) = after.split_first_mut() else { return };
            let tokens = &slot.history[..state.length];
            let inherits =
                |other: &&mut Slot| other.namespace == slot.namespace && other.history.starts_with(tokens);
            let heir = before.iter_mut().chain(after).find(inherits);
            match heir {
                Some(heir) if heir.states.iter().all(|other| other.length != state.length) => {
                    heir.states.push(state);
                    heir.states.sort_unstable_by_key(|state| state.length);
                }
                _ => self.released.push(state.state),
            }
        }
    }

    /// Releases states.
    pub(super) fn release_all(&mut self, states: impl Iterator<Item = StateId>) {
        self.released.extend(states);
    }

    /// Has the decoder drop the released states.
    pub(super) fn drop_released(&mut self, ops: &mut Vec<SeqOp>) {
        ops.extend(self.released.drain(..).map(|state| SeqOp::DropState { state }));
    }

    fn make_room(&mut self, slots: &mut [Slot]) -> bool {
        if self.size == 0 && !self.requested.is_empty() {
            return false; // One at a time until the size is known.
        }
        let coming = (self.requested.len() as u64 + 1).saturating_mul(self.size.max(1));
        while total(slots).saturating_add(coming) > self.budget {
            if !self.evict(slots) {
                return false;
            }
        }
        true
    }

    /// Releases the least recently used state; among equals, the shortest.
    fn evict(&mut self, slots: &mut [Slot]) -> bool {
        let all =
            slots.iter().enumerate().flat_map(|(slot, s)| s.states.iter().map(move |state| (slot, *state)));
        let Some((slot, state)) = all.min_by_key(|(_, state)| (state.used, state.length)) else {
            return false;
        };
        slots[slot].states.retain(|other| other.state != state.state);
        self.released.push(state.state);
        true
    }
}

/// Records that a state served a request.
pub(super) fn mark_used(slots: &mut [Slot], state: Option<StateId>, turn: u64) {
    let all = slots.iter_mut().flat_map(|slot| &mut slot.states);
    all.filter(|cached| Some(cached.state) == state).for_each(|cached| cached.used = turn);
}

/// The memory of all cached states.
pub(super) fn total(slots: &[Slot]) -> u64 {
    slots.iter().flat_map(|slot| &slot.states).map(|state| state.bytes).fold(0, u64::saturating_add)
}
