//! Decides what the next step reads: who is admitted, what of an earlier prompt serves, who decodes, how much of
//! which prompt.
//!
//! A pure value: no clock, no thread, no decoder. Time comes in as a value with each commit.

#[cfg(test)]
mod reuse_tests;
mod saving;
#[cfg(test)]
mod saving_tests;
mod sharing;
#[cfg(test)]
mod sharing_tests;
mod states;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::Duration;

use super::job::Job;
use super::slot::Slot;
use super::{
    Caps, DecodeError, Error, Event, FinishReason, Outcome, Pos, Request, RequestId, Row, SeqId, SeqOp,
    SlotState, Step, Token, Vocab,
};
use sharing::{Place, Reuse, Sharing};
use states::States;

/// How much a scheduler takes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Requests in work at once; the decoder's sequences are the ceiling.
    pub slots: u32,
    /// Rows of one step; the decoder's batch is the ceiling and `slots` the floor.
    pub budget: u32,
    /// Requests that may wait.
    pub queue: usize,
    /// Bytes of states that are kept so that later prompts can go on from them.
    pub state_cache: u64,
    /// Tokens at the beginning of a prompt for which it pays to copy another request's sequence, or to wait for it.
    pub min_shared_prefix: u32,
    /// One request at a time, computed as if there were no other. Rounding depends on what is computed together, and
    /// so does the text in the end.
    pub deterministic: bool,
}

impl Limits {
    /// Everything the decoder can do at once, a queue of 256, sharing from 32 tokens on, and no kept states.
    #[must_use]
    pub fn of(caps: Caps) -> Self {
        let (slots, budget) = (caps.sequences, caps.batch);
        Self { slots, budget, queue: 256, state_cache: 0, min_shared_prefix: 32, deterministic: false }
    }
}

/// When a step ran, counted from any fixed moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Its begin.
    pub from: Duration,
    /// Its end.
    pub to: Duration,
}

/// The requests of one decoder.
#[derive(Debug)]
pub struct Scheduler<V> {
    vocab: V,
    caps: Caps,
    budget: usize,
    queue: usize,
    slots: Vec<Slot>,
    waiting: VecDeque<Job>,
    flight: Vec<Flight>,
    states: States,
    sharing: Sharing,
    turns: u64,
}

/// What one slot has in the step that is being done.
#[derive(Debug, Clone, Copy)]
struct Flight {
    slot: usize,
    id: RequestId,
    /// The row whose tokens are wanted.
    sampled: Option<usize>,
}

/// What requests are told, in order.
pub type Events = Vec<(RequestId, Event)>;

impl<V: Vocab> Scheduler<V> {
    /// Makes a scheduler for a decoder that can do `caps`.
    pub fn new(vocab: V, caps: Caps, limits: Limits) -> Self {
        let slots =
            if limits.deterministic { 1 } else { limits.slots.min(caps.sequences).min(caps.batch).max(1) };
        let budget = limits.budget.min(caps.batch).max(slots);
        Self {
            vocab,
            caps,
            budget: budget as usize,
            queue: limits.queue,
            slots: (0..slots).map(|_| Slot::default()).collect(),
            waiting: VecDeque::new(),
            flight: Vec::new(),
            states: States::new(if caps.can_keep && !caps.can_trim && !limits.deterministic {
                limits.state_cache
            } else {
                0
            }),
            sharing: Sharing {
                caps,
                worth: limits.min_shared_prefix.max(1) as usize,
                deterministic: limits.deterministic,
            },
            turns: 0,
        }
    }

    /// Takes a request on; the id must be new.
    ///
    /// # Errors
    ///
    /// When it cannot be done at all, or too many wait already. It then leaves no trace.
    pub fn submit(&mut self, id: RequestId, request: Request, arrived: Duration) -> Result<(), Error> {
        if request.prompt.is_empty() {
            return Err(Error::PromptEmpty);
        }
        self.check(&request.prompt)?;
        let free = self.slots.iter().filter(|s| s.job.is_none()).count();
        if self.waiting.len() >= self.queue.saturating_add(free) {
            return Err(Error::QueueFull { capacity: self.queue });
        }
        self.turns += 1;
        self.waiting.push_back(Job::new(id, request, self.turns, arrived));
        Ok(())
    }

    /// Whether a sequence can hold these tokens and one more.
    fn check(&self, tokens: &[Token]) -> Result<(), Error> {
        let (length, context, size) = (tokens.len(), self.caps.context, self.vocab.size());
        if u32::try_from(length).map_or(true, |n| n >= context) {
            return Err(Error::PromptTooLong { tokens: length, context });
        }
        let unknown = |token: &Token| u32::try_from(token.0).map_or(true, |n| n >= size);
        match tokens.iter().position(unknown) {
            Some(position) => Err(Error::TokenUnknown { token: tokens[position].0, position, size }),
            None => Ok(()),
        }
    }

    /// Ends a request now, at whatever point it is; returns its terminal event if it was still open.
    pub fn cancel(&mut self, id: RequestId) -> Option<Event> {
        if let Some(index) = self.waiting.iter().position(|job| job.id == id) {
            return self.waiting.remove(index).map(|job| job.finished(FinishReason::Cancelled));
        }
        let slot = self.slots.iter_mut().find(|s| s.is_of(id))?;
        slot.job.take().map(|job| job.finished(FinishReason::Cancelled))
    }

    /// Ends the thinking of a request, if it is still going on.
    pub fn end_reasoning(&mut self, id: RequestId) {
        let in_slots = self.slots.iter_mut().filter_map(|slot| slot.job.as_mut());
        if let Some(job) = self.waiting.iter_mut().chain(in_slots).find(|job| job.id == id) {
            job.end_reasoning();
        }
    }

    /// The next step; [`commit`](Self::commit), [`interrupted`](Self::interrupted) or [`fail`](Self::fail) must
    /// follow before the next call.
    #[must_use]
    #[expect(clippy::should_implement_trait, reason = "steps are no iteration: each needs its commit first")]
    pub fn next(&mut self) -> Step {
        let mut step = Step::default();
        self.flight.clear();
        self.repair(&mut step);
        self.admit(&mut step);
        self.states.keep(&mut self.slots, &mut step.ops);
        self.decode(&mut step);
        self.prefill(&mut step);
        self.states.forget(&mut step.ops);
        step
    }

    /// Advances the slots by what the step gave.
    pub fn commit(&mut self, outcome: &Outcome, span: Span) -> Events {
        self.states.commit(&outcome.kept, &mut self.slots);
        let mut events = Events::new();
        for Flight { slot: index, id, sampled } in std::mem::take(&mut self.flight) {
            let slot = &mut self.slots[index];
            let tokens = sampled.and_then(|row| outcome.tokens.get(row)).map_or(&[][..], Vec::as_slice);
            let logprobs = sampled.and_then(|row| outcome.logprobs.get(&row)).map_or(&[][..], Vec::as_slice);
            // All but the last of what was guessed ahead is in the cache already.
            slot.history.extend(tokens.split_last().map_or(&[][..], |(_, ahead)| ahead));
            let Some(job) = slot.job.as_mut().filter(|job| job.id == id) else {
                continue; // Cancelled while the step ran.
            };
            job.worked(span.from, span.to);
            if sampled.is_none() {
                continue;
            }
            if tokens.is_empty() {
                let failed = outcome.failed.iter().find(|(seq, _)| seq.0 as usize == index);
                let contract = DecodeError::Contract { what: "a row that asked for tokens got none" };
                let error = failed.map_or(contract, |(_, error)| error.clone());
                events.push((id, Event::Failed(Error::Decode(error))));
                slot.job = None;
            } else if job.accept(tokens, logprobs, self.caps.context, &self.vocab, &mut events) {
                slot.job = None;
            }
        }
        events
    }

    /// Goes on after a step that was given up: what it read is read again, as far as no state was kept before.
    pub fn interrupted(&mut self) {
        self.states.abandon();
        for flight in std::mem::take(&mut self.flight) {
            self.slots[flight.slot].lose_tail();
        }
    }

    /// Ends every request in work; those that wait go on waiting.
    pub fn fail(&mut self, error: &Error) -> Events {
        self.flight.clear();
        self.states.abandon();
        let mut events = Events::new();
        for slot in &mut self.slots {
            if let Some(job) = slot.job.take() {
                self.states.drop_all(slot.lose());
                events.push((job.id, Event::Failed(error.clone())));
            }
        }
        events
    }

    /// Whether there is no request.
    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.slots.iter().all(|s| s.job.is_none())
    }

    /// The state of every slot.
    pub fn states(&self) -> impl Iterator<Item = SlotState> {
        self.slots.iter().map(Slot::state)
    }

    /// Brings sequences whose step was given up back to where they can go on.
    fn repair(&mut self, step: &mut Step) {
        for index in 0..self.slots.len() {
            let slot = &self.slots[index];
            if let Some(job) = slot.job.as_ref().filter(|_| slot.broken) {
                let reuse = self.sharing.within(&self.slots, index, &job.tokens);
                self.take_over(index, reuse, step);
            }
        }
    }

    /// First come, first served, except for who waits for a prompt to be read that begins like theirs.
    fn admit(&mut self, step: &mut Step) {
        let mut next = 0;
        while let Some(job) = self.waiting.get(next) {
            let (index, reuse) = match self.sharing.place(&self.slots, &job.tokens, self.states.any()) {
                None => return,
                Some(Place::Now(index, reuse)) => (index, reuse),
                Some(Place::Later(index, length)) => {
                    self.slots[index].job.iter_mut().for_each(|reader| reader.stop_at(length));
                    next += 1;
                    continue;
                }
            };
            let Some(mut job) = self.waiting.remove(next) else { return };
            if let Some(length) = self.sharing.missed(&self.slots, &job.tokens, reuse.length) {
                job.stop_at(length);
            }
            self.take_over(index, reuse, step);
            let slot = &mut self.slots[index];
            slot.used = job.turn;
            slot.kept.iter_mut().for_each(|kept| kept.used = job.turn);
            job.reuses(reuse.length);
            if let Some(sampling) = job.sampling.take().map(Box::new) {
                step.ops.push(SeqOp::Sample { seq: seq(index), sampling, prompt: job.tokens.clone() });
            }
            slot.job = Some(job);
        }
    }

    /// Makes the sequence of a slot what is reused.
    fn take_over(&mut self, index: usize, reuse: Reuse, step: &mut Step) {
        let Reuse { length, from, state } = reuse;
        states::used(&mut self.slots, state, self.turns);
        let stays = if from.is_none() { length } else { 0 };
        self.states.release(&mut self.slots, index, stays);
        match from.filter(|_| length > 0) {
            None => step.ops.extend(self.slots[index].rewind(seq(index), length, state)),
            Some(from) => {
                let tokens = self.slots[from].history[..length].to_vec();
                let length = u32::try_from(length).unwrap_or(u32::MAX);
                step.ops.push(SeqOp::Copy { from: seq(from), to: seq(index), length, state });
                let slot = &mut self.slots[index];
                (slot.history, slot.broken) = (tokens, false);
            }
        }
    }

    /// One row for every slot that writes. There are never more slots than the budget has rows.
    fn decode(&mut self, step: &mut Step) {
        for index in 0..self.slots.len() {
            if self.slots[index].state() == SlotState::Decode {
                self.read(index, 1, step);
            }
        }
    }

    /// Prompts in order of arrival, as much as the budget leaves.
    fn prefill(&mut self, step: &mut Step) {
        let mut order: Vec<(u64, usize)> = Vec::new();
        for (index, slot) in self.slots.iter().enumerate() {
            if let (SlotState::Prefill { .. }, Some(job)) = (slot.state(), &slot.job) {
                order.push((job.turn, index));
            }
        }
        order.sort_unstable();
        for (_, index) in order {
            let room = self.budget - step.rows.len();
            if room == 0 {
                return;
            }
            self.read(index, room, step);
        }
    }

    /// Reads up to `room` tokens of a slot, but not across a place where its state is to be kept.
    fn read(&mut self, index: usize, room: usize, step: &mut Step) {
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
            step.rows.push(Row { seq, pos, token, sample: place + 1 == job.tokens.len() });
        }
        slot.history.extend_from_slice(&job.tokens[done..end]);
        let sampled = (end == job.tokens.len()).then(|| step.rows.len() - 1);
        self.flight.push(Flight { slot: index, id: job.id, sampled });
    }
}

/// The sequence of a slot.
fn seq(index: usize) -> SeqId {
    SeqId(u32::try_from(index).unwrap_or(u32::MAX))
}
