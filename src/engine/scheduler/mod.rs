//! Decides what the next step reads: which requests are admitted, which decode, and how much of which prompt is read.
//!
//! A pure value: no clock, no thread, no decoder. Time comes in as a value with each commit.

mod admission;
mod eviction;
mod failure;
#[cfg(test)]
mod failure_tests;
mod gaps;
#[cfg(test)]
mod gaps_tests;
mod limits;
#[cfg(test)]
mod namespace_tests;
mod pace;
mod queue;
mod retry;
#[cfg(test)]
mod reuse_tests;
mod saving;
#[cfg(test)]
mod saving_tests;
mod seq;
mod sharing;
#[cfg(test)]
mod sharing_tests;
mod state_cache;
mod status;
#[cfg(test)]
mod tests;
mod value;

use std::collections::VecDeque;
use std::time::Duration;

use super::check;
use super::job::Job;
use super::slot::Slot;
use super::{
    BatchToken, Caps, Counters, DecodeError, Distributions, Error, Event, Events, FinishReason, Outcome, Pos,
    PreparedSampler, Request, RequestId, SeqOp, SlotState, Step, Vocab,
};
pub use eviction::Eviction;
pub use limits::{Limits, PrefillBudget};
use pace::Pace;
use queue::Queue;
use seq::seq;
use sharing::Sharing;
use state_cache::StateCache;
use value::Flight;
pub use value::{Scheduler, Span};

impl<V: Vocab> Scheduler<V> {
    /// Creates a scheduler for a decoder with the capabilities `caps`.
    pub fn new(vocab: V, caps: Caps, limits: Limits) -> Self {
        let slots =
            if limits.deterministic { 1 } else { limits.slots.min(caps.sequences).min(caps.batch).max(1) };
        let batch = limits.batch.min(caps.batch).max(slots);
        let caches = caps.can_cache && !caps.can_trim && !limits.deterministic;
        Self {
            vocab,
            caps,
            limits: Limits { slots, batch, ..limits },
            slots: (0..slots).map(|_| Slot::default()).collect(),
            waiting: Queue::default(),
            flights: Vec::new(),
            states: StateCache::new(if caches { limits.state_cache } else { 0 }),
            sharing: Sharing {
                caps,
                min_shared_prefix: limits.min_shared_prefix.max(1) as usize,
                deterministic: limits.deterministic,
            },
            retries: VecDeque::new(),
            retried: false,
            pace: Pace::default(),
            counters: Counters::default(),
            distributions: Distributions::default(),
            events: Events::new(),
            evictions: None,
            turns: 0,
        }
    }

    /// Accepts a request; the id must be new.
    ///
    /// # Errors
    ///
    /// When it is invalid, or the queue is full. It then leaves no trace.
    pub fn submit(&mut self, id: RequestId, request: Request, arrived: Duration) -> Result<(), Error> {
        self.submit_prepared(id, request, None, arrived)
    }

    /// Accepts a request whose sampler may have been made before; the id must be new.
    ///
    /// # Errors
    ///
    /// As [`submit`](Self::submit).
    pub fn submit_prepared(
        &mut self,
        id: RequestId,
        request: Request,
        sampler: Option<PreparedSampler>,
        arrived: Duration,
    ) -> Result<(), Error> {
        check::check(&request, self.caps.context, self.vocab.size())?;
        let free = self.slots.iter().filter(|s| s.job.is_none()).count();
        if self.waiting.len() >= self.limits.queue.saturating_add(free) {
            return Err(Error::QueueFull { capacity: self.limits.queue });
        }
        self.counters.accepted += 1;
        self.waiting.push(Job::new(id, request, sampler, arrived));
        Ok(())
    }

    /// Ends a request now; returns its terminal event if it was open.
    pub fn cancel(&mut self, id: RequestId) -> Option<Event> {
        let waiting = self.waiting.iter().position(|job| job.id == id);
        let job = match waiting {
            Some(index) => self.waiting.remove(index),
            None => self.slots.iter_mut().find(|s| s.serves(id))?.job.take(),
        };
        let event = job?.finished(FinishReason::Cancelled);
        self.counters.cancelled += 1;
        Some(event)
    }

    /// Ends the reasoning of a request, unless it has ended.
    pub fn end_reasoning(&mut self, id: RequestId) {
        let in_slots = self.slots.iter_mut().filter_map(|slot| slot.job.as_mut());
        if let Some(job) = self.waiting.iter_mut().chain(in_slots).find(|job| job.id == id) {
            job.end_reasoning();
        }
    }

    /// The next step; [`commit`](Self::commit) or [`fail`](Self::fail) must follow before the next call.
    #[must_use]
    #[expect(clippy::should_implement_trait, reason = "not an iterator: each step needs its commit first")]
    pub fn next(&mut self) -> Step {
        let mut step = Step::default();
        self.flights.clear();
        let retry = self.next_retry();
        if let Some(index) = retry.filter(|_| !self.retried) {
            self.retry(index, &mut step);
        } else {
            self.retried = false;
            self.repair(&mut step);
            self.admit(&mut step);
            self.close_gaps(&mut step);
            self.cache_states(&mut step);
            self.decode(&mut step);
            self.prefill(&mut step);
            self.order(&mut step);
            if let Some(index) = retry.filter(|_| step.tokens.is_empty()) {
                self.retry(index, &mut step);
            }
        }
        self.states.drop_released(&mut step.ops);
        step
    }

    /// Events of the last [`next`](Self::next), which no commit gives: requests that were admitted.
    pub fn take_events(&mut self) -> Events {
        std::mem::take(&mut self.events)
    }

    /// Advances the slots by the outcome of the step.
    pub fn commit(&mut self, outcome: &Outcome, span: Span) -> Events {
        self.states.commit(&outcome.states, &mut self.slots);
        let flights = std::mem::take(&mut self.flights);
        if !flights.is_empty() {
            self.counters.steps += 1;
            self.counters.step_slots += flights.len() as u64;
            self.distributions.step_tokens.note(flights.iter().map(|flight| flight.tokens as u64).sum());
        }
        // Several tokens of an answer at once are read like a prompt: after a loss, or because they were forced.
        let read = flights.iter().filter(|f| f.prompt || f.tokens > 1).map(|f| f.tokens).sum();
        self.pace.note(read, span.to.saturating_sub(span.from));
        let mut events = Events::new();
        for flight in flights {
            self.advance(flight, outcome, span, &mut events);
        }
        self.end_retries();
        events
    }

    /// Advances one slot.
    fn advance(&mut self, flight: Flight, outcome: &Outcome, span: Span, events: &mut Events) {
        let Flight { slot: index, id, sampled, .. } = flight;
        let slot = &mut self.slots[index];
        let length = slot.history.len();
        let tokens = sampled.and_then(|place| outcome.sampled.get(place)).map_or(&[][..], Vec::as_slice);
        let logprobs = sampled.and_then(|place| outcome.logprobs.get(&place)).map_or(&[][..], Vec::as_slice);
        // All of the predicted tokens except the last are already in the cache.
        slot.history.extend(tokens.split_last().map_or(&[][..], |(_, ahead)| ahead));
        let Some(job) = slot.job.as_mut().filter(|job| job.id == id) else {
            return; // Cancelled while the step ran.
        };
        let again = job.note_computed(length, flight.tokens);
        self.counters.tokens_recomputed += again as u64;
        if flight.prompt {
            self.counters.tokens_read += (flight.tokens - again) as u64;
            events.push((id, job.progress(length)));
        }
        let since = job.since_last_token(span.to);
        job.worked(span.from, span.to);
        if sampled.is_none() {
            return;
        }
        if let Some(since) = since {
            self.distributions.token_times.note(u64::try_from(since.as_micros()).unwrap_or(u64::MAX));
        }
        let written = job.written_tokens();
        let over = if tokens.is_empty() {
            let failed = outcome.failed.iter().find(|(seq, _)| seq.0 as usize == index);
            let contract = DecodeError::Contract { what: "no token was sampled after one that asked for it" };
            let error = failed.map_or(contract, |(_, error)| error.clone());
            events.push((id, Event::Failed(Error::Decode(error))));
            self.counters.failed += 1;
            true
        } else {
            let over = job.accept(tokens, logprobs, self.caps.context, &self.vocab, events);
            self.counters.finished += u64::from(over);
            over
        };
        self.counters.tokens_written += u64::from(job.written_tokens() - written);
        if over {
            slot.job = None;
        }
    }

    /// Whether no request is open.
    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.slots.iter().all(|s| s.job.is_none())
    }

    /// Asks for the states of slots that have come to a boundary.
    fn cache_states(&mut self, step: &mut Step) {
        for index in 0..self.slots.len() {
            if !self.is_retried(index) {
                self.states.cache_at_boundary(index, &mut self.slots, &mut step.ops);
            }
        }
    }

    /// One token of every slot that writes. The batch has room for all slots.
    fn decode(&mut self, step: &mut Step) {
        for index in 0..self.slots.len() {
            if self.slots[index].state() == SlotState::Decode && !self.is_retried(index) {
                self.read(index, 1, step);
            }
        }
    }

    /// Forced tokens of answers, then prompts in order of admission, as much as batch and budget allow.
    fn prefill(&mut self, step: &mut Step) {
        let mut order: Vec<(bool, u64, usize)> = Vec::new();
        for (index, slot) in self.slots.iter().enumerate() {
            if let (SlotState::Prefill { .. }, Some(job)) = (slot.state(), &slot.job)
                && !self.is_retried(index)
            {
                order.push((!job.is_writing(), job.turn, index));
            }
        }
        order.sort_unstable();
        let shared = !step.tokens.is_empty();
        let mut allowed = if shared { self.pace.allowed(self.limits.prefill_budget) } else { usize::MAX };
        for (_, _, index) in order {
            let room = (self.limits.batch as usize - step.tokens.len()).min(allowed);
            if room == 0 {
                return;
            }
            let before = step.tokens.len();
            self.read(index, room, step);
            allowed -= step.tokens.len() - before;
        }
    }

    /// Reads up to `room` tokens of a slot, but not across a boundary at which its state is to be cached.
    pub(super) fn read(&mut self, index: usize, room: usize, step: &mut Step) {
        let slot = &mut self.slots[index];
        let Some(job) = &mut slot.job else { return };
        let seq = seq(index);
        let done = slot.history.len();
        let end = self.states.stop(job, done).min(job.tokens.len()).min(done.saturating_add(room));
        if end <= done {
            return;
        }
        if !job.forced.is_empty() {
            step.ops.push(SeqOp::Forced { seq, tokens: std::mem::take(&mut job.forced) });
        }
        for (place, &token) in job.tokens.iter().enumerate().take(end).skip(done) {
            let pos = Pos(u32::try_from(place).unwrap_or(u32::MAX));
            step.tokens.push(BatchToken { seq, pos, token, sample: place + 1 == job.tokens.len() });
        }
        slot.history.extend_from_slice(&job.tokens[done..end]);
        self.flights.push(Flight {
            slot: index,
            id: job.id,
            before: done,
            tokens: end - done,
            prompt: !job.is_writing() && end <= job.prompt_tokens(),
            sampled: (end == job.tokens.len()).then(|| step.tokens.len() - 1),
        });
    }
}
