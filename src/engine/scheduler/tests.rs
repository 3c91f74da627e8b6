//! Seeded and property tests: any mix of requests, cancellations and budgets on the scripted decoder.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::engine::deadline::Deadline;
use crate::engine::run::save_beginning;
use crate::engine::scripted::{ByteVocab, ScriptedDecoder};
use crate::engine::{DecodeError, Decoder, Namespace, SamplingParams, SeqId, Token};

const CONTEXT: u32 = 48;

/// One thing that happens between two steps.
#[derive(Debug, Clone)]
enum Act {
    Submit {
        prompt: usize,
        answer: usize,
        limit: Option<u32>,
        namespace: u64,
    },
    /// Aborts the next step.
    Abort,
    /// Cancels one of the requests so far; `midway` while a step is being done.
    Cancel {
        which: usize,
        midway: bool,
    },
    Step,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        3 => (1usize..60, 0usize..20, prop::option::of(0u32..12), 0u64..2).prop_map(
            |(prompt, answer, limit, namespace)| Act::Submit { prompt, answer, limit, namespace }
        ),
        1 => (0usize..40, any::<bool>()).prop_map(|(which, midway)| Act::Cancel { which, midway }),
        6 => Just(Act::Step),
        1 => Just(Act::Abort),
    ];
    prop::collection::vec(act, 1..60)
}

/// Answers with as many letters as the prompt's first token says, `ahead` at a time, then ends.
fn decoder(caps: Caps, ahead: usize) -> ScriptedDecoder {
    let script = move |prompt: &[Token], written: &[Token]| {
        let wanted = usize::try_from(prompt[0].0).unwrap();
        let letter = |place| if place < wanted { Token(97) } else { ByteVocab::END };
        (written.len()..written.len() + ahead).map(letter).collect()
    };
    ScriptedDecoder::new(caps, Box::new(script))
}

struct World {
    scheduler: Scheduler<ByteVocab>,
    decoder: ScriptedDecoder,
    batch: usize,
    cache: u64,
    now: Duration,
    submitted: u64,
    asked: BTreeMap<RequestId, (usize, Option<u32>)>,
    events: BTreeMap<RequestId, Vec<Event>>,
    /// Requests in the order in which their first token came.
    first: Vec<RequestId>,
    saves: usize,
}

impl World {
    fn new(slots: u32, batch: u32, ahead: usize) -> Self {
        Self::with(slots, batch, ahead, 0, false)
    }

    fn with(slots: u32, batch: u32, ahead: usize, cache: u64, can_trim: bool) -> Self {
        let caps = Caps {
            sequences: slots,
            context: CONTEXT,
            batch: batch.max(slots),
            can_trim,
            can_cache: true,
            can_copy: true,
        };
        let limits = Limits { batch, queue: 8, state_cache: cache, min_shared_prefix: 3, ..Limits::of(caps) };
        let mut scheduler = Scheduler::new(ByteVocab, caps, limits);
        scheduler.announce_evictions();
        Self {
            scheduler,
            decoder: decoder(caps, ahead),
            batch: batch.max(slots) as usize,
            cache,
            now: Duration::ZERO,
            submitted: 0,
            asked: BTreeMap::new(),
            events: BTreeMap::new(),
            first: Vec::new(),
            saves: 0,
        }
    }

    fn submit(&mut self, prompt: usize, answer: usize, max_tokens: Option<u32>) {
        self.submit_in(Namespace::default(), prompt, answer, max_tokens);
    }

    fn submit_in(&mut self, namespace: Namespace, prompt: usize, answer: usize, max_tokens: Option<u32>) {
        let id = RequestId(self.submitted);
        self.submitted += 1;
        let prompt = vec![Token(i32::try_from(answer).unwrap()); prompt];
        let length = prompt.len();
        let boundaries = vec![0, length / 3, length / 2, length];
        let request =
            Request { max_tokens, boundaries, namespace, ..Request::new(prompt, SamplingParams::greedy()) };
        match self.scheduler.submit(id, request, self.now) {
            Ok(()) => drop(self.asked.insert(id, (answer, max_tokens))),
            Err(Error::PromptTooLong { tokens, .. }) => {
                assert!(tokens == length && length >= CONTEXT as usize);
            }
            Err(Error::QueueFull { capacity }) => assert_eq!(capacity, 8),
            Err(other) => panic!("{other}"),
        }
    }

    /// Copies the beginnings of overwritten sequences, cut wherever that is possible.
    fn save_evicted(&mut self, step: &Step) {
        for eviction in self.scheduler.take_evictions() {
            let (needed, sequence) = (eviction.needed(step), &eviction.sequence);
            self.saves += 1;
            let most = sequence.tokens.len() * (self.saves % 4) / 3;
            let length = sequence.longest(needed, most);
            assert!(length == 0 || (needed <= length && length <= most));
            if length > 0 {
                let saved = save_beginning(&mut self.decoder, sequence, length).unwrap();
                assert_eq!(saved.tokens(), &sequence.tokens[..length]);
            }
        }
    }

    fn cancel(&mut self, which: usize) {
        let id = RequestId(which as u64);
        if let Some(event) = self.scheduler.cancel(id) {
            self.note(id, event);
        }
    }

    fn note(&mut self, id: RequestId, event: Event) {
        if matches!(event, Event::Progress { .. }) {
            return;
        }
        let log = self.events.entry(id).or_default();
        assert!(!log.last().is_some_and(Event::is_terminal), "an event follows the terminal event of {id:?}");
        if log.is_empty() {
            self.first.push(id);
        }
        log.push(event);
    }

    fn step(&mut self, midway: Option<usize>) {
        let slots = self.scheduler.status().slots;
        let step = self.scheduler.next();
        assert!(step.tokens.len() <= self.batch, "the batch is not exceeded");
        let writing = slots.iter().filter(|slot| slot.state == SlotState::Decode).map(|slot| slot.request);
        let is_read = |id| self.scheduler.flights.iter().any(|flight| Some(flight.id) == id);
        assert!({ writing }.all(is_read), "every writing slot is read");
        assert!(step.tokens.is_sorted_by_key(|token| (token.seq.0, token.pos.0)));
        self.save_evicted(&step);
        let outcome = self.decoder.step(&step).expect("the scheduler keeps the decoder's contract");
        if let Some(which) = midway {
            self.cancel(which);
        }
        let span = Span { from: self.now, to: self.now + Duration::from_millis(1) };
        self.now = span.to;
        for (id, event) in self.scheduler.commit(&outcome, span) {
            self.note(id, event);
        }
        let cached = self.decoder.cached() as u64;
        assert!(cached * 100 <= self.cache.max(100), "{cached} states are cached");
    }

    /// The decoder applied the operations and read an unknown part of the tokens.
    fn abort(&mut self) {
        let mut step = self.scheduler.next();
        self.save_evicted(&step);
        step.tokens.clear();
        self.decoder.step(&step).expect("the operations are in order");
        self.scheduler.fail(&step, &DecodeError::Aborted, false);
    }

    fn drain(&mut self) {
        for _ in 0..10_000 {
            if self.scheduler.is_idle() {
                return;
            }
            self.step(None);
        }
        panic!("some request starves: {:?}", self.scheduler);
    }

    fn check(&self) {
        for (id, (answer, limit)) in &self.asked {
            let log = &self.events[id];
            assert_eq!(log.iter().filter(|e| e.is_terminal()).count(), 1, "one terminal event for {id:?}");
            let text: String = log
                .iter()
                .filter_map(|e| if let Event::Delta { text, .. } = e { Some(text.as_str()) } else { None })
                .collect();
            let tokens: usize =
                log.iter().map(|e| if let Event::Delta { tokens, .. } = e { tokens.len() } else { 0 }).sum();
            let Some(Event::Finished { reason, usage, timings }) = log.last() else {
                panic!("{id:?} failed")
            };
            assert_eq!(usage.completion_tokens as usize, tokens);
            assert!(usage.reused_tokens < usage.prompt_tokens);
            assert!(timings.queued + timings.prefill + timings.decode <= self.now);
            match reason {
                FinishReason::Stop => assert_eq!(text.len(), *answer),
                FinishReason::Length => assert_eq!(Some(usage.completion_tokens), *limit),
                FinishReason::Context => {
                    assert_eq!(usage.prompt_tokens + usage.completion_tokens, CONTEXT + 1);
                }
                FinishReason::Cancelled => assert!(text.len() <= *answer),
                FinishReason::StopString(_) => panic!("no stop strings here"),
            }
        }
    }
}

proptest! {
    #[test]
    fn whatever_happens_every_request_ends_once_and_every_slot_becomes_free(
        acts in acts(), slots in 1u32..5, batch in 1u32..20, ahead in 1usize..4,
        cache in prop_oneof![Just(0u64), 50u64..800], can_trim in any::<bool>(),
    ) {
        let mut world = World::with(slots, batch, ahead, cache, can_trim);
        let mut midway = None;
        for act in acts {
            match act {
                Act::Submit { prompt, answer, limit, namespace } => {
                    world.submit_in(Namespace(namespace), prompt, answer, limit);
                }
                Act::Cancel { which, midway: true } => midway = Some(which),
                Act::Cancel { which, midway: false } => world.cancel(which),
                Act::Step => world.step(midway.take()),
                Act::Abort => world.abort(),
            }
        }
        world.drain();
        world.check();
    }

    #[test]
    fn an_answer_does_not_depend_on_other_requests(
        prompts in prop::collection::vec((1usize..40, 0usize..8), 1..8), slots in 1u32..5, batch in 1u32..20,
    ) {
        let mut world = World::new(slots, batch, 1);
        for (prompt, answer) in &prompts {
            world.submit(*prompt, *answer, None);
        }
        world.drain();
        world.check();
        // Without cancellations, first come is first served.
        let mut sorted = world.first.clone();
        sorted.sort_unstable();
        prop_assert_eq!(slots > 1 || sorted == world.first, true);
    }
}

#[test]
fn a_thousand_seeded_requests_leave_nothing_behind() {
    let mut world = World::new(4, 16, 1);
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move |below: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        usize::try_from(seed % below).unwrap()
    };
    let _deadline = Deadline::start();
    while world.submitted < 1000 {
        world.submit(1 + random(50), random(16), None);
        for _ in 0..random(4) {
            let midway = (random(9) == 0).then(|| random(1000));
            world.step(midway);
        }
    }
    world.drain();
    world.check();
}

#[test]
fn a_long_prompt_is_read_in_chunks_while_the_other_slot_writes() {
    let mut world = World::new(2, 8, 1);
    world.submit(2, 20, None);
    world.step(None);
    world.submit(40, 1, None);
    let mut chunks = Vec::new();
    let _deadline = Deadline::start();
    while world.events.len() < 2 {
        let before: Vec<_> = world.scheduler.slot_states().collect();
        world.step(None);
        let after: Vec<_> = world.scheduler.slot_states().collect();
        chunks.push((before[1], after[1]));
        assert_eq!(after[0], SlotState::Decode, "the writing slot never waits");
    }
    // The writing slot leaves seven tokens of each step: 40 tokens take six steps.
    assert_eq!(chunks.len(), 6);
}

#[test]
fn a_failed_step_ends_its_lone_request_and_spares_those_that_wait() {
    let mut world = World::new(1, 8, 1);
    world.submit(2, 3, None);
    world.submit(2, 3, None);
    let step = world.scheduler.next();
    let error = DecodeError::Backend { status: -3 };
    let events = world.scheduler.fail(&step, &error, false);
    assert_eq!(events, vec![(RequestId(0), Event::Failed(Error::Decode(error)))]);
    // How much of the failed step was read is unknown, so the sequence is cleared before it is used again.
    let step = world.scheduler.next();
    assert!(matches!(step.ops[..], [SeqOp::Clear { seq: SeqId(0) }, SeqOp::Sample { seq: SeqId(0), .. }]));
}

#[test]
fn impossible_requests_are_refused_by_name() {
    let mut world = World::new(1, 8, 1);
    let request = |prompt| Request::new(prompt, SamplingParams::greedy());
    let mut submit = |prompt| world.scheduler.submit(RequestId(7), request(prompt), Duration::ZERO);
    assert_eq!(submit(vec![]), Err(Error::PromptEmpty));
    assert_eq!(submit(vec![Token(1); 48]), Err(Error::PromptTooLong { tokens: 48, context: 48 }));
    assert_eq!(
        submit(vec![Token(1), Token(257)]),
        Err(Error::TokenUnknown { token: 257, position: 1, size: 257 })
    );
    assert_eq!(submit(vec![Token(-1)]), Err(Error::TokenUnknown { token: -1, position: 0, size: 257 }));
}

#[test]
fn times_come_only_from_commits() {
    let mut scheduler = Scheduler::new(ByteVocab, caps(), Limits::of(caps()));
    let mut decoder = ScriptedDecoder::saying(caps(), "ab");
    let request = Request::new(vec![Token(1); 3], SamplingParams::greedy());
    let second = Duration::from_secs;
    scheduler.submit(RequestId(0), request, second(1)).unwrap();
    let mut last = None;
    for (from, to) in [(2, 3), (3, 5), (5, 6), (6, 10)] {
        let step = scheduler.next();
        let outcome = decoder.step(&step).unwrap();
        last = scheduler.commit(&outcome, Span { from: second(from), to: second(to) }).pop();
    }
    let Some((_, Event::Finished { usage, timings, .. })) = last else { panic!("{last:?}") };
    assert_eq!((timings.queued, timings.prefill, timings.decode), (second(1), second(3), second(5)));
    assert_eq!(timings.time_to_first_token(), second(4));
    assert_eq!((timings.prompt_rate(&usage), timings.decode_rate(&usage)), (Some(1.0), Some(0.4)));
}

fn caps() -> Caps {
    Caps { sequences: 1, context: 8, batch: 2, can_trim: false, can_cache: false, can_copy: false }
}
