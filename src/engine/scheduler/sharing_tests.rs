//! Common prefixes are read once and copied; in deterministic mode nothing is shared.

use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::engine::deadline::Deadline;
use crate::engine::scripted::{ByteVocab, ScriptedDecoder};
use crate::engine::{Decoder, Markup, SamplingParams, Usage};

/// What happened to some prompts, which are submitted at once, except those after [`THEN`].
struct Read {
    /// Tokens that were read of them, without answers.
    tokens: usize,
    usages: Vec<Usage>,
    copies: usize,
    most_at_once: usize,
}

/// Separates prompts that are submitted once those before are answered.
const THEN: &str = "";

fn read(prompts: &[String], can_trim: bool, change: impl FnOnce(&mut Limits)) -> Read {
    let _deadline = Deadline::start();
    let caps =
        Caps { sequences: 4, context: 1000, batch: 16, can_trim, can_cache: !can_trim, can_copy: true };
    let mut limits = Limits { state_cache: 1000, min_shared_prefix: 8, ..Limits::of(caps) };
    change(&mut limits);
    let mut scheduler = Scheduler::new(ByteVocab, caps, limits);
    let mut decoder = ScriptedDecoder::saying(caps, "ok");
    let mut usages = BTreeMap::new();
    let mut read = Read { tokens: 0, usages: Vec::new(), copies: 0, most_at_once: 0 };
    let mut coming = (0u64..).zip(prompts).peekable();
    while coming.peek().is_some() || !scheduler.is_idle() {
        if scheduler.is_idle() {
            for (id, text) in coming.by_ref().take_while(|(_, text)| *text != THEN) {
                let request = Request::new(ByteVocab.tokenize(text, Markup::Plain), SamplingParams::greedy());
                scheduler.submit(RequestId(id), request, Duration::ZERO).unwrap();
            }
        }
        let step = scheduler.next();
        let of_prompt = |token: &&BatchToken| {
            scheduler.slots[token.seq.0 as usize].job.as_ref().is_some_and(|job| !job.is_writing())
        };
        read.tokens += step.tokens.iter().filter(of_prompt).count();
        read.copies += step.ops.iter().filter(|op| matches!(op, SeqOp::Copy { .. })).count();
        let at_once = scheduler.slot_states().filter(|state| *state != SlotState::Idle).count();
        read.most_at_once = read.most_at_once.max(at_once);
        let outcome = decoder.step(&step).expect("the scheduler keeps the decoder's contract");
        let events = scheduler.commit(&outcome, Span { from: Duration::ZERO, to: Duration::ZERO });
        for (id, event) in events {
            match event {
                Event::Finished { usage, .. } => drop(usages.insert(id, usage)),
                Event::Failed(error) => panic!("{error}"),
                Event::Progress { .. } | Event::Delta { .. } => {}
            }
        }
    }
    read.usages = usages.into_values().collect();
    read
}

const SHARED: &str = "Twenty examples of what is wanted, and then the question: ";

fn prompts(count: u64) -> Vec<String> {
    (0..count).map(|number| format!("{SHARED}{}", number * 7919)).collect()
}

fn tails(prompts: &[String]) -> usize {
    prompts.iter().map(|prompt| prompt.len() - SHARED.len()).sum()
}

#[test]
fn a_common_prefix_is_read_once_whichever_slots_take_it() {
    for can_trim in [true, false] {
        let prompts = prompts(12);
        let read = read(&prompts, can_trim, |_| {});
        assert_eq!(read.usages.len(), 12);
        // Some numbers have a common beginning too, which is read again without a state there.
        let most = SHARED.len() + tails(&prompts) + if can_trim { 0 } else { 4 };
        assert!(read.tokens <= most, "{} tokens, at most {most}, trim {can_trim}", read.tokens);
        assert!(read.copies >= 3, "every slot gets a copy: {}", read.copies);
        assert_eq!(read.most_at_once, 4);
        let reused: usize = read.usages.iter().map(|usage| usage.reused_tokens as usize).sum();
        let whole: usize = prompts.iter().map(String::len).sum();
        assert_eq!(reused + read.tokens, whole, "the usage reports what was computed");
    }
}

#[test]
fn one_prompt_many_times_is_read_once_except_for_its_last_token() {
    for can_trim in [true, false] {
        let prompts = vec![SHARED.to_owned(); 4];
        let read = read(&prompts, can_trim, |_| {});
        assert_eq!(read.tokens, SHARED.len() + 3);
    }
}

#[test]
fn a_short_common_prefix_is_not_copied() {
    let prompts = prompts(4);
    let read = read(&prompts, true, |limits| limits.min_shared_prefix = 100);
    assert_eq!((read.copies, read.tokens), (0, prompts.iter().map(String::len).sum::<usize>()));
}

#[test]
fn without_states_a_decoder_that_cannot_trim_reads_each_prompt_whole() {
    let prompts = prompts(4);
    let read = read(&prompts, false, |limits| limits.state_cache = 0);
    assert_eq!((read.copies, read.tokens), (0, prompts.iter().map(String::len).sum::<usize>()));
}

#[test]
fn in_deterministic_mode_every_request_is_read_whole_and_alone() {
    for can_trim in [true, false] {
        let prompts = prompts(6);
        let read = read(&prompts, can_trim, |limits| limits.deterministic = true);
        assert_eq!((read.copies, read.most_at_once), (0, 1));
        assert_eq!(read.tokens, prompts.iter().map(String::len).sum::<usize>());
        assert!(read.usages.iter().all(|usage| usage.reused_tokens == 0));
    }
}

#[test]
fn a_state_outlives_its_slot_while_another_has_its_tokens() {
    let mut prompts = prompts(4);
    // The second takes the least recently used slot: the one that read the common prefix.
    prompts.extend([THEN, "nothing of that", THEN].map(str::to_owned));
    prompts.push(format!("{SHARED}again"));
    let read = read(&prompts, false, |_| {});
    assert!(read.usages[5].reused_tokens as usize >= SHARED.len(), "{:?}", read.usages[5]);
}
