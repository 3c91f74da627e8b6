//! Which states of sequences are kept, within a budget of memory.

use super::seq;
use crate::engine::job::Job;
use crate::engine::slot::{KeptState, Slot};
use crate::engine::{Kept, SeqOp, StateId};

/// The kept states of all slots.
#[derive(Debug)]
pub(super) struct States {
    budget: u64,
    /// The size of the largest state so far, which the next one is taken to have.
    size: u64,
    next: u64,
    asked: Vec<Asked>,
    dropped: Vec<StateId>,
}

#[derive(Debug)]
struct Asked {
    slot: usize,
    state: StateId,
    length: usize,
    used: u64,
}

impl States {
    pub(super) fn new(budget: u64) -> Self {
        Self { budget, size: 0, next: 0, asked: Vec::new(), dropped: Vec::new() }
    }

    /// Whether any state can be kept.
    pub(super) fn any(&self) -> bool {
        self.budget >= self.size.max(1)
    }

    /// Where reading must stop next so that a state can be kept.
    pub(super) fn stop(&self, job: &Job, done: usize) -> usize {
        if !self.any() {
            return usize::MAX;
        }
        job.boundaries.iter().copied().find(|&at| at > done).unwrap_or(usize::MAX)
    }

    /// Asks for the states of slots that have come to a boundary; the least recently useful make room.
    pub(super) fn keep(&mut self, slots: &mut [Slot], ops: &mut Vec<SeqOp>) {
        for index in 0..slots.len() {
            let Some(job) = &slots[index].job else { continue };
            if job.boundaries.contains(&slots[index].history.len()) {
                self.keep_here(index, job.turn, slots, ops);
            }
        }
    }

    /// Asks for the state of a slot as it is.
    pub(super) fn keep_here(&mut self, index: usize, used: u64, slots: &mut [Slot], ops: &mut Vec<SeqOp>) {
        let length = slots[index].history.len();
        let there = slots[index].kept.iter().any(|kept| kept.length == length);
        if there || !self.make_room(slots) {
            return;
        }
        let state = StateId(self.next);
        self.next += 1;
        ops.push(SeqOp::Keep { seq: seq(index), state });
        self.asked.push(Asked { slot: index, state, length, used });
    }

    /// Notes the states that were kept.
    pub(super) fn commit(&mut self, kept: &[Kept], slots: &mut [Slot]) {
        for Asked { slot, state, length, used } in std::mem::take(&mut self.asked) {
            let Some(&Kept { bytes, .. }) = kept.iter().find(|kept| kept.state == state) else { continue };
            self.size = self.size.max(bytes);
            slots[slot].kept.push(KeptState { state, length, bytes, used });
            slots[slot].kept.sort_unstable_by_key(|kept| kept.length);
        }
        while total(slots) > self.budget && self.evict(slots) {}
    }

    /// Gives up what was asked for in a step that did not come to its end.
    pub(super) fn abandon(&mut self) {
        self.dropped.extend(std::mem::take(&mut self.asked).into_iter().map(|asked| asked.state));
    }

    /// Gives up the states of a slot behind a length, except to another that has the same tokens.
    pub(super) fn release(&mut self, slots: &mut [Slot], index: usize, length: usize) {
        let late: Vec<KeptState> = slots[index].kept.extract_if(.., |kept| kept.length > length).collect();
        for kept in late {
            let (before, after) = slots.split_at_mut(index);
            let Some((slot, after)) = after.split_first_mut() else { return };
            let tokens = &slot.history[..kept.length];
            let heir = before.iter_mut().chain(after).find(|other| other.history.starts_with(tokens));
            match heir {
                Some(heir) if heir.kept.iter().all(|other| other.length != kept.length) => {
                    heir.kept.push(kept);
                    heir.kept.sort_unstable_by_key(|kept| kept.length);
                }
                _ => self.dropped.push(kept.state),
            }
        }
    }

    /// Gives states up.
    pub(super) fn drop_all(&mut self, states: impl Iterator<Item = StateId>) {
        self.dropped.extend(states);
    }

    /// Tells the decoder what was given up.
    pub(super) fn forget(&mut self, ops: &mut Vec<SeqOp>) {
        ops.extend(self.dropped.drain(..).map(|state| SeqOp::Forget { state }));
    }

    fn make_room(&mut self, slots: &mut [Slot]) -> bool {
        if self.size == 0 && !self.asked.is_empty() {
            return false; // One at a time until the size is known.
        }
        let coming = (self.asked.len() as u64 + 1).saturating_mul(self.size.max(1));
        while total(slots).saturating_add(coming) > self.budget {
            if !self.evict(slots) {
                return false;
            }
        }
        true
    }

    /// Drops the least recently useful state, of equals the shortest.
    fn evict(&mut self, slots: &mut [Slot]) -> bool {
        let all = slots.iter().enumerate().flat_map(|(slot, s)| s.kept.iter().map(move |kept| (slot, *kept)));
        let Some((slot, kept)) = all.min_by_key(|(_, kept)| (kept.used, kept.length)) else { return false };
        slots[slot].kept.retain(|other| other.state != kept.state);
        self.dropped.push(kept.state);
        true
    }
}

/// Notes that a state was of use.
pub(super) fn used(slots: &mut [Slot], state: Option<StateId>, turn: u64) {
    let all = slots.iter_mut().flat_map(|slot| &mut slot.kept);
    all.filter(|kept| Some(kept.state) == state).for_each(|kept| kept.used = turn);
}

fn total(slots: &[Slot]) -> u64 {
    slots.iter().flat_map(|slot| &slot.kept).map(|kept| kept.bytes).fold(0, u64::saturating_add)
}
