//! The scheduler's part of a snapshot.

use super::state_cache;
use super::value::Scheduler;
use crate::engine::job::Job;
use crate::engine::slot::Slot;
use crate::engine::{Prompt, SlotState, SlotStatus, StateCacheStatus, Status, Vocab};

impl<V: Vocab> Scheduler<V> {
    /// A snapshot of slots, queue, state cache and counters.
    #[must_use]
    pub fn status(&self) -> Status {
        let slots = self.slots.iter().map(|slot| SlotStatus {
            state: slot.state(),
            request: slot.job.as_ref().map(|job| job.id),
            tokens: slot.history.len(),
            usage: slot.job.as_ref().map(Job::usage).unwrap_or_default(),
            remaining: slot.job.as_ref().and_then(Job::remaining),
        });
        Status {
            slots: slots.collect(),
            waiting: self.waiting.iter().map(|job| job.id).collect(),
            state_cache: StateCacheStatus {
                states: self.slots.iter().map(|slot| slot.states.len()).sum(),
                bytes: state_cache::total(&self.slots),
                budget: self.states.budget(),
            },
            counters: self.counters,
            distributions: self.distributions,
        }
    }

    /// The state of every slot.
    pub fn slot_states(&self) -> impl Iterator<Item = SlotState> {
        self.slots.iter().map(Slot::state)
    }

    /// How many tokens of a prompt a request would find in the cache if it were admitted now.
    #[must_use]
    pub fn cached_prefix(&self, prompt: Prompt<'_>) -> usize {
        self.sharing.longest(&self.slots, prompt)
    }
}
