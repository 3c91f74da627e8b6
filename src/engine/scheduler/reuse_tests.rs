//! Conversations: what a later prompt finds in the cache, and reasoning that is ended by budget or request.

use std::time::Duration;

use super::*;
use crate::engine::scripted::{ByteVocab, ScriptedDecoder};
use crate::engine::{Decoder, Markup, Opening, Reasoning, SamplingParams, Usage};

pub(super) const STATE: u64 = 100;

pub(super) struct Chat {
    pub(super) scheduler: Scheduler<ByteVocab>,
    pub(super) decoder: ScriptedDecoder,
    next: u64,
}

impl Chat {
    pub(super) fn new(slots: u32, cache: u64, can_trim: bool) -> Self {
        let caps =
            Caps { sequences: slots, context: 1000, batch: 16, can_trim, can_cache: true, can_copy: true };
        let scheduler = Scheduler::new(ByteVocab, caps, Limits { state_cache: cache, ..Limits::of(caps) });
        Self { scheduler, decoder: ScriptedDecoder::saying(caps, "<hm>yes"), next: 0 }
    }

    /// Asks, with a boundary at every `|`, which is not part of the prompt.
    pub(super) fn ask(&mut self, marked: &str) -> Usage {
        self.ask_with(marked, |_| {}).1
    }

    fn ask_with(&mut self, marked: &str, change: impl FnOnce(&mut Request)) -> (String, Usage) {
        let parts: Vec<&str> = marked.split('|').collect();
        let prompt = ByteVocab.tokenize(&parts.concat(), Markup::Plain);
        let boundaries = parts.iter().scan(0, |sum, part| {
            *sum += part.len();
            Some(*sum)
        });
        let mut request =
            Request { boundaries: boundaries.collect(), ..Request::new(prompt, SamplingParams::greedy()) };
        change(&mut request);
        let id = RequestId(self.next);
        self.next += 1;
        self.scheduler.submit(id, request, Duration::ZERO).unwrap();
        let mut answer = String::new();
        for _ in 0..1000 {
            for (_, event) in self.step() {
                match event {
                    Event::Progress { .. } => {}
                    Event::Delta { text, .. } => answer += &text,
                    Event::Finished { usage, .. } => return (answer, usage),
                    Event::Failed(error) => panic!("{error}"),
                }
            }
        }
        panic!("no end");
    }

    /// Begins an answer and leaves it unfinished.
    pub(super) fn give_a_slot_work(&mut self, marked: &str) -> RequestId {
        let prompt = ByteVocab.tokenize(&marked.replace('|', ""), Markup::Plain);
        let id = RequestId(self.next);
        self.next += 1;
        self.scheduler.submit(id, Request::new(prompt, SamplingParams::greedy()), Duration::ZERO).unwrap();
        self.step();
        id
    }

    /// Begins an answer whose second step is aborted, and cancels it.
    pub(super) fn abort_a_step_of(&mut self, marked: &str) {
        let id = self.give_a_slot_work(marked);
        let step = self.scheduler.next();
        assert!(!step.tokens.is_empty());
        self.scheduler.fail(&step, &DecodeError::Aborted, false);
        self.scheduler.cancel(id);
    }

    fn step(&mut self) -> Events {
        let step = self.scheduler.next();
        let outcome = self.decoder.step(&step).expect("the scheduler keeps the decoder's contract");
        self.scheduler.commit(&outcome, Span { from: Duration::ZERO, to: Duration::ZERO })
    }
}

/// The answer is `<hm>yes`; the next prompt has it without the part in brackets.
pub(super) const FIRST: &str = "system.|user: a.|model: ";
pub(super) const SECOND: &str = "system.|user: a.model: yes.|user: b.|model: ";

#[test]
fn a_turn_without_the_reasoning_resumes_from_the_last_shared_boundary() {
    let mut chat = Chat::new(1, 10 * STATE, false);
    assert_eq!(chat.ask(FIRST).reused_tokens, 0);
    let usage = chat.ask(SECOND);
    // "model: " is shared too, but no state was cached after it.
    assert_eq!(usage.reused_tokens as usize, "system.user: a.".len());
    assert_eq!(usage.read_tokens() as usize, "model: yes.user: b.model: ".len());
}

#[test]
fn a_prompt_that_continues_an_answer_reads_nothing_again() {
    let mut chat = Chat::new(1, 0, false);
    chat.ask("a: ");
    // The token that ends the answer was never read.
    let usage = chat.ask("a: <hm>yes and b");
    assert_eq!(usage.reused_tokens as usize, "a: <hm>yes".len());
}

#[test]
fn without_cached_states_a_changed_middle_is_read_from_the_start_unless_the_decoder_can_trim() {
    assert_eq!(Chat::new(1, 0, false).then(FIRST, SECOND), 0);
    assert_eq!(Chat::new(1, 0, true).then(FIRST, SECOND) as usize, "system.user: a.model: ".len());
}

#[test]
fn the_same_prompt_again_resumes_from_its_last_boundary() {
    let reused = Chat::new(1, 10 * STATE, false).then(FIRST, FIRST);
    assert_eq!(reused as usize, "system.user: a.".len());
    // All but the last token, without which there are no logits.
    assert_eq!(Chat::new(1, 0, true).then(FIRST, FIRST) as usize, "system.user: a.model: ".len() - 1);
}

#[test]
fn two_conversations_each_find_their_own_slot() {
    let mut chat = Chat::new(2, 10 * STATE, false);
    chat.ask("one: |a");
    chat.ask("two: |b");
    assert_eq!(chat.ask("one: |c").reused_tokens, 5);
    assert_eq!(chat.ask("two: |d").reused_tokens, 5);
    // A third one takes the least recently used slot.
    assert_eq!(chat.ask("new: |e").reused_tokens, 0);
    assert_eq!(chat.ask("two: |f").reused_tokens, 5);
    assert_eq!(chat.ask("one: |g").reused_tokens, 0);
}

#[test]
fn the_state_cache_drops_the_least_recently_used_state() {
    let mut chat = Chat::new(2, 2 * STATE, false);
    chat.ask("one: |a.|b");
    assert_eq!(chat.decoder.cached(), 2);
    chat.ask("two: |a");
    assert!(chat.decoder.cached() <= 2);
    // The shorter of the two was dropped.
    assert_eq!(chat.ask("one: |a.|c").reused_tokens as usize, "one: a.".len());
    assert_eq!(Chat::new(1, STATE - 1, false).then(FIRST, SECOND), 0, "a state is larger than the budget");
}

#[test]
fn an_aborted_step_is_computed_again_from_the_last_cached_state() {
    let mut chat = Chat::new(1, 10 * STATE, false);
    chat.ask("system.|");
    let request =
        Request::new(ByteVocab.tokenize("system. and more", Markup::Plain), SamplingParams::greedy());
    let (_, usage) = chat.ask_with("system.|user: a.|model: ", |r| r.boundaries = vec![7, 15]);
    assert_eq!(usage.reused_tokens, 0);
    chat.scheduler.submit(RequestId(99), request, Duration::ZERO).unwrap();
    let mut step = chat.scheduler.next();
    step.tokens.truncate(3);
    chat.decoder.step(&step).unwrap();
    chat.scheduler.fail(&step, &DecodeError::Aborted, false);
    let again = chat.scheduler.next();
    assert!(matches!(again.ops[..], [SeqOp::Rewind { length: 7, state: Some(_), .. }]), "{:?}", again.ops);
    assert_eq!(again.tokens[0].pos, Pos(7));
    chat.decoder.step(&again).unwrap();
}

#[test]
fn reasoning_over_its_budget_is_ended_with_the_given_words_and_the_answer_follows() {
    let limits = |budget| Reasoning {
        open: Opening::Prompt,
        close: ">".to_owned(),
        ending: ByteVocab.tokenize("... enough>", Markup::Plain),
        budget,
    };
    let mut chat = Chat::new(1, 0, false);
    // The script counts what is in its answer already: after the ending it is over.
    let (answer, usage) = chat.ask_with("a: ", |r| r.reasoning = Some(limits(Some(2))));
    assert_eq!(answer, "<h... enough>");
    assert_eq!(usage.completion_tokens as usize, answer.len() + 1);
    let (answer, _) = chat.ask_with("b: ", |r| r.reasoning = Some(limits(Some(20))));
    assert_eq!(answer, "<hm>yes", "it ended before its budget did");
    let (answer, _) = chat.ask_with("c: ", |r| r.reasoning = Some(limits(None)));
    assert_eq!(answer, "<hm>yes");
    let opens = |open: &str| Reasoning { open: Opening::Tag(open.to_owned()), ..limits(Some(3)) };
    let (answer, _) = chat.ask_with("e: ", |r| r.reasoning = Some(opens("<hm>")));
    assert_eq!(answer, "<hm>yes", "the opening text contains the closing text");
    let (answer, _) = chat.ask_with("f: ", |r| r.reasoning = Some(opens("<h")));
    assert_eq!(answer, "<hm>yes", "the two tokens that open it count as one");
    let (answer, _) =
        chat.ask_with("g: ", |r| r.reasoning = Some(Reasoning { budget: Some(1), ..opens("<h") }));
    assert_eq!(answer, "<h... enough>");
    let (answer, _) = chat.ask_with("h: ", |r| r.reasoning = Some(opens("<think>")));
    assert_eq!(answer, "<hm>yes", "an answer that does not begin with it has no reasoning");
    let (answer, _) = chat.ask_with("d: ", |r| {
        r.reasoning = Some(limits(Some(1)));
        r.max_tokens = Some(4);
    });
    assert_eq!(answer, "<...", "the limit counts forced tokens too");
}

#[test]
fn reasoning_can_be_ended_before_its_budget() {
    let mut chat = Chat::new(1, 0, false);
    let ending = ByteVocab.tokenize("!>", Markup::Plain);
    let reasoning = Some(Reasoning { open: Opening::Prompt, close: ">".to_owned(), ending, budget: None });
    let prompt = ByteVocab.tokenize("a", Markup::Plain);
    let request = Request { reasoning, ..Request::new(prompt, SamplingParams::greedy()) };
    chat.scheduler.submit(RequestId(0), request, Duration::ZERO).unwrap();
    chat.step();
    chat.scheduler.end_reasoning(RequestId(0));
    let text = |events: Events| match &events[0] {
        (_, Event::Delta { text, .. }) => text.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(text(chat.step()), "h!>");
    // The two forced tokens are read together with the one before them.
    let step = chat.scheduler.next();
    assert_eq!(step.tokens.len(), 3);
    assert!(matches!(&step.ops[..], [SeqOp::Forced { tokens, .. }] if tokens.len() == 2));
}

impl Chat {
    fn then(mut self, first: &str, second: &str) -> u32 {
        self.ask(first);
        self.ask(second).reused_tokens
    }
}
