//! Decides what the next step reads: who is admitted, who decodes, how much of which prompt.
//!
//! A pure value: no clock, no thread, no decoder. Time comes in as a value with each commit.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::Duration;

use super::slot::{Job, Slot};
use super::{
    Caps, DecodeError, Error, Event, FinishReason, Outcome, Pos, Request, RequestId, Row, SeqId, SeqOp,
    SlotState, Step, Vocab,
};

/// How much a scheduler takes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Requests in work at once; the decoder's sequences are the ceiling.
    pub slots: u32,
    /// Rows of one step; the decoder's batch is the ceiling and `slots` the floor.
    pub budget: u32,
    /// Requests that may wait.
    pub queue: usize,
}

impl Limits {
    /// Everything the decoder can do at once, and a queue of 256.
    #[must_use]
    pub fn of(caps: Caps) -> Self {
        Self { slots: caps.sequences, budget: caps.batch, queue: 256 }
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
    context: u32,
    budget: usize,
    queue: usize,
    slots: Vec<Slot>,
    waiting: VecDeque<Job>,
    flight: Vec<Flight>,
    turns: u64,
}

/// What one slot has in the step that is being done.
#[derive(Debug, Clone, Copy)]
struct Flight {
    slot: usize,
    id: RequestId,
    rows: usize,
    /// The row whose tokens are wanted, and its place.
    sampled: Option<(usize, Pos)>,
}

/// What requests are told, in order.
pub type Events = Vec<(RequestId, Event)>;

impl<V: Vocab> Scheduler<V> {
    /// Makes a scheduler for a decoder that can do `caps`.
    pub fn new(vocab: V, caps: Caps, limits: Limits) -> Self {
        let slots = limits.slots.min(caps.sequences).min(caps.batch).max(1);
        let budget = limits.budget.min(caps.batch).max(slots);
        Self {
            vocab,
            context: caps.context,
            budget: budget as usize,
            queue: limits.queue,
            slots: (0..slots).map(|_| Slot::IDLE).collect(),
            waiting: VecDeque::new(),
            flight: Vec::new(),
            turns: 0,
        }
    }

    /// Takes a request on; the id must be new.
    ///
    /// # Errors
    ///
    /// When it cannot be done at all, or too many wait already. It then leaves no trace.
    pub fn submit(&mut self, id: RequestId, request: Request, arrived: Duration) -> Result<(), Error> {
        let tokens = request.prompt.len();
        if tokens == 0 {
            return Err(Error::PromptEmpty);
        }
        if u32::try_from(tokens).map_or(true, |n| n >= self.context) {
            return Err(Error::PromptTooLong { tokens, context: self.context });
        }
        let size = self.vocab.size();
        let unknown = |t: &super::Token| u32::try_from(t.0).map_or(true, |n| n >= size);
        if let Some(position) = request.prompt.iter().position(unknown) {
            return Err(Error::TokenUnknown { token: request.prompt[position].0, position, size });
        }
        let free = self.slots.iter().filter(|s| s.state == SlotState::Idle).count();
        if self.waiting.len() >= self.queue.saturating_add(free) {
            return Err(Error::QueueFull { capacity: self.queue });
        }
        self.turns += 1;
        self.waiting.push_back(Job::new(id, request, self.turns, arrived));
        Ok(())
    }

    /// Ends a request now, at whatever point it is; returns its terminal event if it was still open.
    pub fn cancel(&mut self, id: RequestId) -> Option<Event> {
        if let Some(index) = self.waiting.iter().position(|job| job.id == id) {
            return self.waiting.remove(index).map(|job| job.finished(FinishReason::Cancelled));
        }
        let slot = self.slots.iter_mut().find(|s| s.job.as_ref().is_some_and(|job| job.id == id))?;
        slot.state = SlotState::Finishing;
        slot.job.take().map(|job| job.finished(FinishReason::Cancelled))
    }

    /// The next step; [`commit`](Self::commit) or [`fail`](Self::fail) must follow before the next call.
    #[must_use]
    #[expect(clippy::should_implement_trait, reason = "steps are no iteration: each needs its commit first")]
    pub fn next(&mut self) -> Step {
        let mut step = Step::default();
        self.close(&mut step);
        self.admit(&mut step);
        self.flight.clear();
        self.decode(&mut step);
        self.prefill(&mut step);
        step
    }

    /// Advances the slots by what the step gave.
    pub fn commit(&mut self, outcome: &Outcome, span: Span) -> Events {
        let mut events = Events::new();
        for flight in std::mem::take(&mut self.flight) {
            let slot = &mut self.slots[flight.slot];
            let Some(job) = slot.job.as_mut().filter(|job| job.id == flight.id) else {
                continue; // Cancelled while the step ran.
            };
            job.worked(span.from, span.to);
            if let SlotState::Prefill { done } = &mut slot.state {
                *done += flight.rows;
            }
            let Some((row, at)) = flight.sampled else { continue };
            match outcome.tokens.get(row) {
                Some(tokens) if !tokens.is_empty() => {
                    slot.state = SlotState::Decode;
                    if job.accept(tokens, at, self.context, &self.vocab, &mut events) {
                        *slot = Slot { state: SlotState::Finishing, job: None };
                    }
                }
                _ => {
                    let what = "a row that asked for tokens got none";
                    events.push((flight.id, Event::Failed(Error::Decode(DecodeError::Contract { what }))));
                    *slot = Slot { state: SlotState::Finishing, job: None };
                }
            }
        }
        events
    }

    /// Ends every request that had a part in the failed step; those that wait go on waiting.
    pub fn fail(&mut self, error: &Error) -> Events {
        self.flight.clear();
        let mut events = Events::new();
        for slot in &mut self.slots {
            if let Some(job) = slot.job.take() {
                slot.state = SlotState::Finishing;
                events.push((job.id, Event::Failed(error.clone())));
            }
        }
        events
    }

    /// Whether there is neither a request nor a sequence to close.
    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.slots.iter().all(|s| s.state == SlotState::Idle)
    }

    /// The state of every slot.
    pub fn states(&self) -> impl Iterator<Item = SlotState> {
        self.slots.iter().map(|s| s.state)
    }

    fn close(&mut self, step: &mut Step) {
        for (seq, slot) in (0u32..).zip(&mut self.slots) {
            if slot.state == SlotState::Finishing {
                step.ops.push(SeqOp::Close { seq: SeqId(seq) });
                *slot = Slot::IDLE;
            }
        }
    }

    fn admit(&mut self, step: &mut Step) {
        for (seq, slot) in (0u32..).zip(&mut self.slots) {
            if slot.state != SlotState::Idle {
                continue;
            }
            let Some(job) = self.waiting.pop_front() else { return };
            step.ops.push(SeqOp::Open { seq: SeqId(seq), sampling: job.request.sampling });
            *slot = Slot { state: SlotState::Prefill { done: 0 }, job: Some(job) };
        }
    }

    /// One row for every slot that writes. There are never more slots than the budget has rows.
    fn decode(&mut self, step: &mut Step) {
        for (index, (seq, slot)) in (0u32..).zip(&self.slots).enumerate() {
            let (SlotState::Decode, Some(job)) = (slot.state, &slot.job) else { continue };
            let Some((token, pos)) = job.next else { continue };
            let sampled = Some((step.rows.len(), pos));
            self.flight.push(Flight { slot: index, id: job.id, rows: 1, sampled });
            step.rows.push(Row { seq: SeqId(seq), pos, token, sample: true });
        }
    }

    /// Prompts in order of arrival, as much as the budget leaves.
    fn prefill(&mut self, step: &mut Step) {
        let mut order: Vec<(u64, usize, usize)> = Vec::new();
        for (index, slot) in self.slots.iter().enumerate() {
            if let (SlotState::Prefill { done }, Some(job)) = (slot.state, &slot.job) {
                order.push((job.turn, index, done));
            }
        }
        order.sort_unstable();
        for (_, index, done) in order {
            let room = self.budget - step.rows.len();
            let Some(job) = self.slots[index].job.as_ref().filter(|_| room > 0) else { return };
            let prompt = &job.request.prompt;
            let end = prompt.len().min(done + room);
            let (mut sampled, seq) = (None, SeqId(u32::try_from(index).unwrap_or(u32::MAX)));
            for (place, &token) in prompt.iter().enumerate().take(end).skip(done) {
                let pos = Pos(u32::try_from(place).unwrap_or(u32::MAX));
                let sample = place + 1 == prompt.len();
                if sample {
                    sampled = Some((step.rows.len(), pos));
                }
                step.rows.push(Row { seq, pos, token, sample });
            }
            self.flight.push(Flight { slot: index, id: job.id, rows: end - done, sampled });
        }
    }
}
