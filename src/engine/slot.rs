//! One request in work: how far it is read, what it has written, and the text it may give out.

use std::time::Duration;

use super::{
    Detokenizer, Event, FinishReason, Pos, Request, RequestId, StopMatcher, Timings, Token, Usage, Vocab,
};

/// Where a slot is in a request's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlotState {
    /// No request.
    Idle,
    /// The prompt is being read.
    Prefill {
        /// Tokens of it read so far.
        done: usize,
    },
    /// The answer is being written.
    Decode,
    /// The request is over; the sequence is still to be closed.
    Finishing,
}

/// A place for one request; its number is the number of its sequence.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) state: SlotState,
    pub(super) job: Option<Job>,
}

impl Slot {
    pub(super) const IDLE: Self = Self { state: SlotState::Idle, job: None };
}

/// A request and everything that belongs to it alone.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) id: RequestId,
    pub(super) request: Request,
    /// Order of admission, for first come, first served.
    pub(super) turn: u64,
    /// The token to read next, and its place, once the prompt is done.
    pub(super) next: Option<(Token, Pos)>,
    detokenizer: Detokenizer,
    stops: StopMatcher,
    usage: Usage,
    clock: Clock,
}

#[derive(Debug, Clone, Copy)]
struct Clock {
    arrived: Duration,
    started: Option<Duration>,
    first: Option<Duration>,
    last: Duration,
}

impl Job {
    pub(super) fn new(id: RequestId, mut request: Request, turn: u64, arrived: Duration) -> Self {
        let stops = StopMatcher::new(std::mem::take(&mut request.stop));
        let usage = Usage { prompt_tokens: count(request.prompt.len()), completion_tokens: 0 };
        let clock = Clock { arrived, started: None, first: None, last: arrived };
        Self { id, request, turn, next: None, detokenizer: Detokenizer::default(), stops, usage, clock }
    }

    /// Notes that a step worked on this request.
    pub(super) fn worked(&mut self, from: Duration, to: Duration) {
        self.clock.started.get_or_insert(from);
        self.clock.last = to;
    }

    /// Takes the tokens that follow position `at`; the terminal event is last if there is one.
    pub(super) fn accept(
        &mut self,
        tokens: &[Token],
        at: Pos,
        context: u32,
        vocab: &impl Vocab,
        events: &mut Vec<(RequestId, Event)>,
    ) -> bool {
        self.clock.first.get_or_insert(self.clock.last);
        let limit = self.request.max_tokens.unwrap_or(u32::MAX);
        let (mut text, mut taken, mut reason) = (String::new(), Vec::new(), None);
        for (index, &token) in tokens.iter().enumerate() {
            if self.usage.completion_tokens >= limit {
                reason = Some(FinishReason::Length);
                break;
            }
            let next = at.0.saturating_add(1).saturating_add(count(index));
            self.next = Some((token, Pos(next)));
            self.usage.completion_tokens += 1;
            taken.push(token);
            reason = self.take(token, next, limit, context, vocab, &mut text);
            if reason.is_some() {
                break;
            }
        }
        if matches!(reason, Some(FinishReason::Stop | FinishReason::Length | FinishReason::Context)) {
            let rest = self.stops.push(&self.detokenizer.finish());
            text += &rest.text;
            match rest.stop {
                Some(index) => reason = Some(FinishReason::StopString(index)),
                None => text += &self.stops.finish(),
            }
        }
        events.push((self.id, Event::Delta { tokens: taken, text }));
        if let Some(reason) = reason {
            events.push((self.id, self.finished(reason)));
        }
        reason.is_some()
    }

    fn take(
        &mut self,
        token: Token,
        next: u32,
        limit: u32,
        context: u32,
        vocab: &impl Vocab,
        text: &mut String,
    ) -> Option<FinishReason> {
        if vocab.ends_answer(token) {
            return Some(FinishReason::Stop);
        }
        let mut bytes = Vec::new();
        vocab.write(token, &mut bytes);
        let scanned = self.stops.push(&self.detokenizer.push(&bytes));
        *text += &scanned.text;
        if let Some(index) = scanned.stop {
            return Some(FinishReason::StopString(index));
        }
        if self.usage.completion_tokens >= limit {
            return Some(FinishReason::Length);
        }
        (next >= context).then_some(FinishReason::Context)
    }

    pub(super) fn finished(&self, reason: FinishReason) -> Event {
        let Clock { arrived, started, first, last } = self.clock;
        let started = started.unwrap_or(last);
        let first = first.unwrap_or(last);
        let timings = Timings {
            queued: started.saturating_sub(arrived),
            prefill: first.saturating_sub(started),
            decode: last.saturating_sub(first),
        };
        Event::Finished { reason, usage: self.usage, timings }
    }
}

/// A length as a count; a context never holds more than `u32::MAX` tokens.
fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
