//! Slots that work are neighbours, so that a step of one token each is one pass.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::engine::passes::passes;
use crate::engine::scripted::{ByteVocab, ScriptedDecoder};
use crate::engine::{Decoder, SamplingParams, Token};

/// Requests on a scripted decoder whose prompts are one token, the number of letters of their answers.
struct World {
    scheduler: Scheduler<ByteVocab>,
    decoder: ScriptedDecoder,
    lengths: BTreeMap<RequestId, usize>,
    finished: usize,
    moves: usize,
}

impl World {
    fn new(slots: u32, can_copy: bool) -> Self {
        let caps =
            Caps { sequences: slots, context: 100, batch: 64, can_trim: false, can_cache: true, can_copy };
        let script = |prompt: &[Token], written: &[Token]| {
            let wanted = usize::try_from(prompt[0].0).unwrap();
            vec![if written.len() < wanted { Token(97) } else { ByteVocab::END }]
        };
        Self {
            scheduler: Scheduler::new(ByteVocab, caps, Limits::of(caps)),
            decoder: ScriptedDecoder::new(caps, Box::new(script)),
            lengths: BTreeMap::new(),
            finished: 0,
            moves: 0,
        }
    }

    fn submit(&mut self, length: usize) -> RequestId {
        let id = RequestId(self.lengths.len() as u64);
        let prompt = vec![Token(i32::try_from(length).unwrap())];
        let request = Request::new(prompt, SamplingParams::greedy());
        self.scheduler.submit(id, request, Duration::ZERO).unwrap();
        self.lengths.insert(id, length);
        id
    }

    /// The number of passes of the next step, and the slots with tokens in it.
    fn step(&mut self) -> (usize, Vec<u32>) {
        let step = self.scheduler.next();
        self.moves += step.ops.iter().filter(|op| matches!(op, SeqOp::Move { .. })).count();
        let outcome = self.decoder.step(&step).expect("the scheduler keeps the decoder's contract");
        let span = Span { from: Duration::ZERO, to: Duration::ZERO };
        for (id, event) in self.scheduler.commit(&outcome, span) {
            if let Event::Finished { usage, .. } = event {
                assert_eq!(usage.completion_tokens as usize, self.lengths[&id] + 1);
                self.finished += 1;
            }
        }
        (passes(&step.tokens, 64), step.tokens.iter().map(|token| token.seq.0).collect())
    }
}

#[test]
fn a_request_takes_the_slot_between_those_that_work() {
    let mut world = World::new(8, false);
    for length in [9, 1, 9] {
        world.submit(length);
    }
    assert_eq!(world.step(), (1, vec![0, 1, 2]));
    assert_eq!(world.step(), (1, vec![0, 1, 2]));
    // The least recently used slots are those that were never used.
    world.submit(9);
    assert_eq!(world.step(), (1, vec![0, 1, 2]));
}

#[test]
fn a_sequence_moves_into_a_gap_and_its_answer_continues() {
    for (can_copy, after) in [(true, (1, vec![0, 1, 2])), (false, (2, vec![0, 1, 3]))] {
        let mut world = World::new(4, can_copy);
        for length in [9, 9, 1, 9] {
            world.submit(length);
        }
        assert_eq!(world.step(), (1, vec![0, 1, 2, 3]));
        assert_eq!(world.step(), (1, vec![0, 1, 2, 3]));
        assert_eq!(world.step(), after);
        while !world.scheduler.is_idle() {
            world.step();
        }
        assert_eq!((world.finished, world.moves), (4, usize::from(can_copy)));
    }
}

#[test]
fn a_sequence_that_makes_room_is_announced() {
    let mut world = World::new(3, true);
    world.scheduler.announce_evictions();
    for length in [9, 1, 9] {
        world.submit(length);
    }
    for _ in 0..2 {
        world.step();
    }
    assert_eq!(world.scheduler.take_evictions(), []);
    world.step();
    let evictions = world.scheduler.take_evictions();
    assert_eq!(evictions.len(), 1);
    assert_eq!((evictions[0].sequence.seq.0, evictions[0].stays), (1, 0));
    assert_eq!(evictions[0].sequence.tokens, [Token(1), Token(97)]);
}

proptest! {
    /// Answers of any length that begin and are cancelled at any time, while none waits.
    #[test]
    fn slots_that_work_are_always_read_in_one_pass(
        acts in prop::collection::vec((0usize..4, 0usize..20, 0usize..40), 1..80), slots in 1u32..9,
    ) {
        let mut world = World::new(slots, true);
        for (act, length, which) in acts {
            match act {
                0 if world.scheduler.slot_states().any(|state| state == SlotState::Idle) => {
                    world.submit(length);
                }
                1 => drop(world.scheduler.cancel(RequestId(which as u64))),
                _ => prop_assert!(world.step().0 <= 1),
            }
        }
        let _deadline = crate::engine::deadline::Deadline::start();
        while !world.scheduler.is_idle() {
            prop_assert!(world.step().0 <= 1);
        }
    }
}
