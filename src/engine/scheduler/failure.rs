//! Steps that fail or are aborted: which requests end, which are retried, and what is left of their sequences.

use super::retry::Retry;
use super::seq::seq;
use super::value::{Flight, Scheduler};
use crate::engine::{DecodeError, Error, Event, Events, RequestId, SeqId, SeqOp, Step, Vocab};

impl<V: Vocab> Scheduler<V> {
    /// The request that a step serves, if it serves only one.
    #[must_use]
    pub fn lone_request(&self, step: &Step) -> Option<RequestId> {
        let [flight] = self.flights[..] else { return None };
        let own = seq(flight.slot);
        step.ops.iter().flat_map(SeqOp::targets).all(|target| target == own).then_some(flight.id)
    }

    /// Continues after a step that failed or was aborted. `spreads` means that sequences without tokens in it may be
    /// damaged too.
    ///
    /// Only requests with tokens in the step are affected: one that was alone in it ends with the error; of several,
    /// each is computed alone, once, and ends only if that fails. After an abort, none ends. All sequences are lost
    /// with a worker or a device, so every request in a slot ends.
    pub fn fail(&mut self, step: &Step, error: &DecodeError, spreads: bool) -> Events {
        let flights = std::mem::take(&mut self.flights);
        self.states.abandon();
        match error {
            DecodeError::Aborted => self.counters.aborted_steps += 1,
            _ => self.counters.failed_steps += 1,
        }
        let mut events = Events::new();
        match error {
            DecodeError::WorkerLost { .. } | DecodeError::DeviceFailed { .. } => {
                for index in 0..self.slots.len() {
                    self.end(index, error, &mut events);
                }
            }
            DecodeError::Contract { .. } => {
                let named: Vec<usize> = named(step).map(|seq| seq.0 as usize).collect();
                for index in (0..self.slots.len()).filter(|index| named.contains(index)) {
                    self.end(index, error, &mut events);
                }
            }
            DecodeError::NoRoom { .. } => {
                for flight in &flights {
                    self.slots[flight.slot].history.truncate(flight.before);
                }
                self.end_or_retry(&flights, error, &mut events);
            }
            DecodeError::Aborted => self.fall_back(&flights, spreads),
            _ => {
                self.fall_back(&flights, spreads);
                self.end_or_retry(&flights, error, &mut events);
            }
        }
        events
    }

    /// Discards a slot's sequence and ends its request, if it has one.
    fn end(&mut self, index: usize, error: &DecodeError, events: &mut Events) {
        let slot = &mut self.slots[index];
        self.states.release_all(slot.lose());
        if let Some(job) = slot.job.take() {
            self.counters.failed += 1;
            events.push((job.id, Event::Failed(Error::Decode(error.clone()))));
        }
    }

    /// Cuts the sequences of a failed step, or those of all slots if the failure spreads, to their intact part.
    fn fall_back(&mut self, flights: &[Flight], spreads: bool) {
        let can_trim = self.caps.can_trim;
        for flight in flights {
            self.slots[flight.slot].fall_back(flight.before, can_trim);
        }
        if spreads {
            for slot in self.slots.iter_mut().filter(|slot| !slot.history.is_empty()) {
                let length = slot.history.len();
                slot.fall_back(length, can_trim);
            }
        }
    }

    /// Ends the request that was alone in a failed step; several are retried one by one.
    fn end_or_retry(&mut self, flights: &[Flight], error: &DecodeError, events: &mut Events) {
        let retry = flights.len() > 1;
        for flight in flights {
            let slot = &mut self.slots[flight.slot];
            if !slot.serves(flight.id) {
                continue; // Cancelled while the step ran.
            }
            if retry {
                self.retries.push_back(Retry { id: flight.id, until: flight.before + flight.tokens });
            } else {
                slot.job = None;
                self.counters.failed += 1;
                events.push((flight.id, Event::Failed(Error::Decode(error.clone()))));
            }
        }
    }

    /// The slot of the request to retry next.
    pub(super) fn next_retry(&mut self) -> Option<usize> {
        while let Some(retry) = self.retries.front() {
            match self.slots.iter().position(|slot| slot.serves(retry.id)) {
                Some(index) => return Some(index),
                None => drop(self.retries.pop_front()),
            }
        }
        None
    }

    /// Whether the request of a slot must be computed alone.
    pub(super) fn is_retried(&self, index: usize) -> bool {
        self.retries.iter().any(|retry| self.slots[index].serves(retry.id))
    }

    /// Reads tokens of one slot only. Other slots take every second step meanwhile.
    pub(super) fn retry(&mut self, index: usize, step: &mut Step) {
        self.retried = true;
        self.repair_slot(index, step);
        self.states.cache_at_boundary(index, &mut self.slots, &mut step.ops);
        self.read(index, self.limits.batch as usize, step);
    }

    /// Ends the retries that have read all tokens of their failed step.
    pub(super) fn end_retries(&mut self) {
        let slots = &self.slots;
        self.retries.retain(|retry| {
            let slot = slots.iter().find(|slot| slot.serves(retry.id));
            slot.is_some_and(|slot| slot.history.len() < retry.until)
        });
    }
}

/// The sequences that a step names, copied ones left out.
fn named(step: &Step) -> impl Iterator<Item = SeqId> {
    let ops = step.ops.iter().flat_map(SeqOp::targets);
    ops.chain(step.tokens.iter().map(|token| token.seq))
}
