//! Isolation: cancellations and failures change nothing for the other requests.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::engine::deadline::Deadline;
use crate::engine::scripted::{ByteVocab, ScriptedDecoder};
use crate::engine::{Decoder, SamplingParams, SeqId, Token, Usage};

const CONTEXT: u32 = 64;

/// Marks the prompt of a request that every step with tokens of it fails for.
const POISON: Token = Token(255);

/// One request of a mix.
#[derive(Debug, Clone)]
struct Asked {
    /// The step before which it arrives.
    arrives: usize,
    prompt: usize,
    answer: usize,
    fate: Fate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Finishes,
    /// Cancelled before this step; `midway` while it is computed.
    Cancelled {
        step: usize,
        midway: bool,
    },
    /// Every step with tokens of it fails.
    Poisoned,
}

impl Fate {
    /// Whether it is a cancellation now.
    fn is(self, now: usize, during: bool) -> bool {
        matches!(self, Self::Cancelled { step, midway } if (step, midway) == (now, during))
    }
}

/// How steps fail.
#[derive(Debug, Clone, Copy)]
struct Faults {
    /// Before anything is read; otherwise in a backend that damages the sequences of the step.
    no_room: bool,
    /// A failed step of several sequences damages all.
    spreads: bool,
    /// Shared steps, by number, that fail whatever they read.
    shared: [usize; 3],
}

#[derive(Debug, Clone, Copy)]
struct World {
    slots: u32,
    batch: u32,
    cache: u64,
    can_trim: bool,
    /// Whether prompts have common prefixes.
    alike: bool,
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Default)]
struct Result {
    tokens: Vec<Token>,
    usage: Usage,
    /// Tokens of it that the decoder read in steps that succeeded.
    computed: usize,
    end: Option<Event>,
}

fn prompt(world: World, id: usize, asked: &Asked) -> Vec<Token> {
    let own = i32::try_from(id).unwrap();
    let fill = Token(if world.alike { 7 } else { own });
    let mut tokens = vec![fill; asked.prompt + 3];
    if asked.fate == Fate::Poisoned {
        tokens[asked.prompt] = POISON;
    }
    // The script reads how long the answer is from the end.
    tokens[asked.prompt + 1] = Token(own);
    tokens[asked.prompt + 2] = Token(i32::try_from(asked.answer).unwrap());
    tokens
}

fn decoder(world: World, faults: Faults) -> ScriptedDecoder {
    let caps = Caps {
        sequences: world.slots,
        context: CONTEXT,
        batch: world.batch.max(world.slots),
        can_trim: world.can_trim,
        can_cache: !world.can_trim,
        can_copy: true,
    };
    let script = |prompt: &[Token], written: &[Token]| {
        let wanted = usize::try_from(prompt.last().unwrap().0).unwrap();
        vec![if written.len() < wanted { Token(97) } else { ByteVocab::END }]
    };
    let decoder = ScriptedDecoder::new(caps, Box::new(script));
    let abort = decoder.abort();
    let mut shared = 0;
    let fault = move |prompts: &[&[Token]]| {
        if abort.is_raised() {
            assert_eq!(prompts.len(), 1, "a shared step is aborted");
            return Some(DecodeError::Aborted);
        }
        let several = prompts.len() > 1;
        shared += usize::from(several);
        let poisoned = prompts.iter().any(|prompt| prompt.contains(&POISON));
        let struck = several && faults.shared.contains(&shared);
        let error = if faults.no_room {
            DecodeError::NoRoom { tokens: 1 }
        } else {
            DecodeError::Backend { status: -3 }
        };
        (poisoned || struck).then_some(error)
    };
    decoder.failing(faults.spreads, Box::new(fault))
}

/// Runs a mix to its end.
fn play(world: World, faults: Faults, mix: &[Asked]) -> BTreeMap<usize, Result> {
    let mut decoder = decoder(world, faults);
    let limits =
        Limits { queue: 100, state_cache: world.cache, min_shared_prefix: 4, ..Limits::of(decoder.caps()) };
    let mut scheduler = Scheduler::new(ByteVocab, decoder.caps(), limits);
    let mut results: BTreeMap<usize, Result> = BTreeMap::new();
    for step in 0..5000 {
        for (id, asked) in mix.iter().enumerate().filter(|(_, asked)| asked.arrives == step) {
            let prompt = prompt(world, id, asked);
            let boundaries = vec![asked.prompt / 2, asked.prompt];
            let request = Request { boundaries, ..Request::new(prompt, SamplingParams::greedy()) };
            scheduler.submit(RequestId(id as u64), request, Duration::ZERO).unwrap();
            results.insert(id, Result::default());
        }
        cancel(&mut scheduler, &mut results, mix, step, false);
        if scheduler.is_idle() && mix.iter().all(|asked| asked.arrives <= step) {
            return results;
        }
        let work = scheduler.next();
        note(&mut results, scheduler.take_events());
        let owners: Vec<Option<RequestId>> = work
            .tokens
            .iter()
            .map(|token| scheduler.slots[token.seq.0 as usize].job.as_ref().map(|job| job.id))
            .collect();
        let abort = decoder.abort();
        abort.begin(scheduler.lone_request(&work));
        for (id, _) in mix.iter().enumerate().filter(|(_, asked)| asked.fate.is(step, true)) {
            abort.abort(RequestId(id as u64));
        }
        let outcome = decoder.step(&work);
        abort.end();
        cancel(&mut scheduler, &mut results, mix, step, true);
        let events = match outcome {
            Ok(outcome) => {
                for id in owners.into_iter().flatten() {
                    results.get_mut(&usize::try_from(id.0).unwrap()).unwrap().computed += 1;
                }
                scheduler.commit(&outcome, Span { from: Duration::ZERO, to: Duration::ZERO })
            }
            Err(error @ DecodeError::Contract { .. }) => panic!("{error}"),
            Err(error) => {
                let spreads = decoder.failure_spreads(&work);
                scheduler.fail(&work, &error, spreads)
            }
        };
        note(&mut results, events);
    }
    panic!("some request starves: {scheduler:?}");
}

fn cancel(
    scheduler: &mut Scheduler<ByteVocab>,
    results: &mut BTreeMap<usize, Result>,
    mix: &[Asked],
    now: usize,
    during: bool,
) {
    for (id, asked) in mix.iter().enumerate() {
        if asked.fate.is(now, during)
            && let Some(event) = scheduler.cancel(RequestId(id as u64))
        {
            note(results, vec![(RequestId(id as u64), event)]);
        }
    }
}

fn note(results: &mut BTreeMap<usize, Result>, events: Events) {
    for (id, event) in events {
        let result = results.get_mut(&usize::try_from(id.0).unwrap()).unwrap();
        assert_eq!(result.end, None, "nothing follows the end of {id:?}");
        match event {
            Event::Progress { total, reused, read } => assert!(reused + read <= total),
            Event::Delta { tokens, .. } => result.tokens.extend(tokens),
            Event::Finished { usage, .. } => {
                result.usage = usage;
                result.end = Some(event);
            }
            Event::Failed(_) => result.end = Some(event),
        }
    }
}

fn finished(result: &Result) -> bool {
    matches!(result.end, Some(Event::Finished { reason: FinishReason::Stop, .. }))
}

fn mixes() -> impl Strategy<Value = Vec<Asked>> {
    let fate = prop_oneof![
        3 => Just(Fate::Finishes),
        2 => (0usize..30, any::<bool>()).prop_map(|(step, midway)| Fate::Cancelled { step, midway }),
        1 => Just(Fate::Poisoned),
    ];
    let asked = (0usize..20, 1usize..30, 0usize..10, fate)
        .prop_map(|(arrives, prompt, answer, fate)| Asked { arrives, prompt, answer, fate });
    prop::collection::vec(asked, 1..9)
}

fn worlds() -> impl Strategy<Value = World> {
    (1u32..5, 1u32..20, prop_oneof![Just(0u64), 50u64..800], any::<bool>(), any::<bool>())
        .prop_map(|(slots, batch, cache, can_trim, alike)| World { slots, batch, cache, can_trim, alike })
}

fn faults() -> impl Strategy<Value = Faults> {
    (any::<bool>(), any::<bool>(), prop::array::uniform3(0usize..40))
        .prop_map(|(no_room, spreads, shared)| Faults { no_room, spreads, shared })
}

const NONE: Faults = Faults { no_room: true, spreads: false, shared: [0; 3] };

/// The same mix in which every request finishes.
fn unharmed(mix: &[Asked]) -> Vec<Asked> {
    mix.iter().map(|asked| Asked { fate: Fate::Finishes, ..asked.clone() }).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn cancellations_and_failures_change_nothing_for_other_requests(
        world in worlds(), faults in faults(), mix in mixes(),
    ) {
        // Without common prefixes nothing depends on what others leave in the cache.
        let world = World { alike: false, ..world };
        let harmed = play(world, faults, &mix);
        let reference = play(world, NONE, &unharmed(&mix));
        // What a backend damages must be read again, unless the decoder can trim.
        let rereads = !faults.no_room && !world.can_trim;
        for (id, asked) in mix.iter().enumerate().filter(|(_, asked)| asked.fate == Fate::Finishes) {
            let (result, expected) = (&harmed[&id], &reference[&id]);
            prop_assert!(finished(result), "{id}: {:?}", result.end);
            prop_assert_eq!(&result.tokens, &expected.tokens);
            prop_assert_eq!(result.usage, expected.usage);
            if rereads {
                prop_assert!(result.computed >= expected.computed, "{}: {:?}", id, asked);
            } else {
                prop_assert_eq!(result.computed, expected.computed, "{}: {:?}", id, asked);
            }
        }
    }

    #[test]
    fn nothing_is_computed_twice_for_the_sake_of_another_request(
        world in worlds(), faults in faults(), mix in mixes(),
    ) {
        let results = play(world, faults, &mix);
        for (id, asked) in mix.iter().enumerate() {
            let result = &results[&id];
            match asked.fate {
                Fate::Poisoned => {
                    let failed = matches!(result.end, Some(Event::Failed(Error::Decode(_))));
                    prop_assert!(failed && result.tokens.is_empty(), "{}: {:?}", id, result.end);
                }
                Fate::Cancelled { .. } => prop_assert!(result.end.is_some()),
                Fate::Finishes => {
                    prop_assert!(finished(result), "{}: {:?}", id, result.end);
                    let answer = vec![Token(97); asked.answer];
                    prop_assert_eq!(&result.tokens[..asked.answer], &answer[..]);
                    // The token that ends an answer is never read.
                    let usage = result.usage;
                    let needed = (usage.read_tokens() + usage.completion_tokens - 1) as usize;
                    // A damaged sequence is read again from a state, or copied from further on than before.
                    if faults.no_room || world.can_trim {
                        prop_assert_eq!(result.computed, needed, "{}: {:?}", id, result);
                    }
                }
            }
        }
    }
}

/// Two requests that write, a third that waits; the next step fails.
fn three(error: &DecodeError) -> (Scheduler<ByteVocab>, ScriptedDecoder, Events) {
    let world = World { slots: 2, batch: 8, cache: 0, can_trim: true, alike: false };
    let mut decoder = decoder(world, NONE);
    let limits = Limits::of(decoder.caps());
    let mut scheduler = Scheduler::new(ByteVocab, decoder.caps(), limits);
    for id in 0..3 {
        let asked = Asked { arrives: 0, prompt: 1, answer: 5, fate: Fate::Finishes };
        let request = Request::new(prompt(world, id, &asked), SamplingParams::greedy());
        scheduler.submit(RequestId(id as u64), request, Duration::ZERO).unwrap();
    }
    let step = scheduler.next();
    let outcome = decoder.step(&step).unwrap();
    scheduler.commit(&outcome, Span { from: Duration::ZERO, to: Duration::ZERO });
    let step = scheduler.next();
    assert_eq!((step.tokens.len(), scheduler.lone_request(&step)), (2, None));
    let events = scheduler.fail(&step, error, false);
    (scheduler, decoder, events)
}

#[test]
fn requests_of_a_failed_shared_step_are_retried_alone_and_only_the_one_that_fails_again_ends() {
    let error = DecodeError::Backend { status: -3 };
    let (mut scheduler, mut decoder, events) = three(&error);
    assert_eq!(events, []);
    let first = scheduler.next();
    assert_eq!(scheduler.lone_request(&first), Some(RequestId(0)));
    assert!(matches!(first.ops[..], [SeqOp::Rewind { seq: SeqId(0), length: 4, state: None }]));
    let events = scheduler.fail(&first, &error, false);
    assert_eq!(events, [(RequestId(0), Event::Failed(Error::Decode(error)))]);
    // The slot is free, so the third request is admitted before the second is retried.
    let mut seen = BTreeSet::new();
    for _ in 0..20 {
        let step = scheduler.next();
        seen.extend(scheduler.lone_request(&step));
        let outcome = decoder.step(&step).unwrap();
        scheduler.commit(&outcome, Span { from: Duration::ZERO, to: Duration::ZERO });
    }
    assert!(scheduler.is_idle());
    assert!(seen.contains(&RequestId(1)));
    let counters = scheduler.status().counters;
    assert_eq!((counters.finished, counters.failed, counters.failed_steps), (2, 1, 2));
}

#[test]
fn an_invalid_step_ends_the_requests_that_it_names_and_is_not_retried() {
    let error = DecodeError::Contract { what: "a test" };
    let (scheduler, _, events) = three(&error);
    let ended: Vec<u64> = events.iter().map(|(id, _)| id.0).collect();
    assert_eq!(ended, [0, 1]);
    assert!(!scheduler.is_idle(), "the third waits");
}

#[test]
fn a_step_that_names_another_slot_is_not_alone() {
    let world = World { slots: 2, batch: 2, cache: 0, can_trim: true, alike: false };
    let mut scheduler =
        Scheduler::new(ByteVocab, decoder(world, NONE).caps(), Limits::of(decoder(world, NONE).caps()));
    for id in 0..2 {
        let asked = Asked { arrives: 0, prompt: 9, answer: 5, fate: Fate::Finishes };
        let request = Request::new(prompt(world, id, &asked), SamplingParams::greedy());
        scheduler.submit(RequestId(id as u64), request, Duration::ZERO).unwrap();
    }
    // The batch has room for the first prompt only, but the second slot gets its sampler.
    let step = scheduler.next();
    assert!(step.tokens.iter().all(|token| token.seq == SeqId(0)));
    assert_eq!(scheduler.lone_request(&step), None);
}

#[test]
fn a_long_prompt_takes_a_fifth_of_a_second_of_a_step_while_another_request_writes() {
    let caps =
        Caps { sequences: 2, context: 10_000, batch: 512, can_trim: true, can_cache: false, can_copy: true };
    // A thousand tokens a second, and 50 ms for every step.
    let cost = |tokens: usize| Duration::from_millis(50 + u64::try_from(tokens).unwrap());
    for (budget, most) in
        [(PrefillBudget::Auto, 200), (PrefillBudget::Tokens(40), 40), (PrefillBudget::Unlimited, 511)]
    {
        let limits = Limits { prefill_budget: budget, ..Limits::of(caps) };
        let mut scheduler = Scheduler::new(ByteVocab, caps, limits);
        let mut decoder = ScriptedDecoder::saying(caps, &"a".repeat(200));
        let mut now = Duration::ZERO;
        let mut step = |scheduler: &mut Scheduler<ByteVocab>| {
            let step = scheduler.next();
            let outcome = decoder.step(&step).unwrap();
            let to = now + cost(step.tokens.len());
            scheduler.commit(&outcome, Span { from: now, to });
            now = to;
            step.tokens.len()
        };
        let request = |length, fill| Request::new(vec![Token(fill); length], SamplingParams::greedy());
        scheduler.submit(RequestId(0), request(600, 1), Duration::ZERO).unwrap();
        assert_eq!(step(&mut scheduler), 512, "nothing limits a prefill beside which no request writes");
        step(&mut scheduler);
        scheduler.submit(RequestId(1), request(4000, 2), Duration::ZERO).unwrap();
        let mut sizes = Vec::new();
        let _deadline = Deadline::start();
        while scheduler.slot_states().any(|state| matches!(state, SlotState::Prefill { .. }))
            || sizes.is_empty()
        {
            sizes.push(step(&mut scheduler) - 1);
        }
        assert_eq!(sizes.iter().sum::<usize>(), 4000);
        let largest = *sizes.iter().max().unwrap();
        assert!(largest <= most && largest * 2 > most, "{budget:?}: {sizes:?}");
        if budget == PrefillBudget::Auto {
            // The first measurement was of a prefill alone; then the whole step takes a fifth of a second.
            let settled = &sizes[sizes.len() / 2..sizes.len() - 1];
            assert!(settled.iter().all(|&size| cost(size + 1) <= Duration::from_millis(210)), "{sizes:?}");
            assert!(settled.iter().all(|&size| cost(size + 1) >= Duration::from_millis(160)), "{sizes:?}");
        }
    }
}
