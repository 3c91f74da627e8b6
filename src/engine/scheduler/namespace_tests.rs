//! Requests of different namespaces share nothing, however their prompts, steps and slots mix.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::engine::deadline::Deadline;
use crate::engine::scripted::{ByteVocab, ScriptedDecoder};
use crate::engine::{Decoder, Markup, Namespace, SamplingParams, Token};

const ANSWER: &str = "ok";

struct Asked {
    namespace: Namespace,
    prompt: Vec<Token>,
    reused: usize,
}

/// Answers prompts, `at_once` at a time; returns what each found in the cache.
fn ask(prompts: &[(u64, String)], at_once: usize, slots: u32, can_trim: bool) -> Vec<Asked> {
    let _deadline = Deadline::start();
    let caps =
        Caps { sequences: slots, context: 100, batch: 16, can_trim, can_cache: !can_trim, can_copy: true };
    let limits = Limits { state_cache: 600, min_shared_prefix: 2, ..Limits::of(caps) };
    let mut scheduler = Scheduler::new(ByteVocab, caps, limits);
    let mut decoder = ScriptedDecoder::saying(caps, ANSWER);
    let mut asked = BTreeMap::new();
    let mut coming = (0u64..).zip(prompts).peekable();
    while coming.peek().is_some() || !scheduler.is_idle() {
        if scheduler.is_idle() {
            for (id, (namespace, text)) in coming.by_ref().take(at_once) {
                let prompt = ByteVocab.tokenize(text, Markup::Plain);
                let namespace = Namespace(*namespace);
                let boundaries = vec![prompt.len() / 2, prompt.len() - 1];
                let request = Request {
                    boundaries,
                    namespace,
                    ..Request::new(prompt.clone(), SamplingParams::greedy())
                };
                scheduler.submit(RequestId(id), request, Duration::ZERO).unwrap();
                asked.insert(RequestId(id), Asked { namespace, prompt, reused: 0 });
            }
        }
        let step = scheduler.next();
        let outcome = decoder.step(&step).expect("the scheduler keeps the decoder's contract");
        let span = Span { from: Duration::ZERO, to: Duration::ZERO };
        for (id, event) in scheduler.commit(&outcome, span) {
            if let Event::Finished { usage, .. } = event {
                asked.entry(id).and_modify(|asked| asked.reused = usage.reused_tokens as usize);
            }
        }
    }
    asked.into_values().collect()
}

#[test]
fn the_same_prompt_is_read_again_in_another_namespace() {
    for can_trim in [false, true] {
        let prompt = "the same prompt".to_owned();
        let prompts: Vec<_> = [0, 1, 0, 1, 2].map(|namespace| (namespace, prompt.clone())).into();
        let reused: Vec<usize> =
            ask(&prompts, 1, 4, can_trim).into_iter().map(|asked| asked.reused).collect();
        assert_eq!(reused, [0, 0, 14, 14, 0]);
        let reused = ask(&prompts, 5, 4, can_trim).into_iter().map(|asked| asked.reused);
        assert_eq!(reused.sum::<usize>(), 2 * 14, "one of each of the two pairs waits for the other");
    }
}

proptest! {
    #[test]
    fn nothing_is_reused_that_no_request_of_the_namespace_has_read(
        prompts in prop::collection::vec((0u64..3, "[ab]{0,3}[ab]{8}"), 1..14),
        at_once in 1usize..6, slots in 1u32..5, can_trim in any::<bool>(),
    ) {
        let all = ask(&prompts, at_once, slots, can_trim);
        let answer = ByteVocab.tokenize(ANSWER, Markup::Plain);
        for (index, asked) in all.iter().enumerate() {
            let others = all.iter().enumerate();
            let others = others.filter(|(other, o)| *other != index && o.namespace == asked.namespace);
            let common = others.map(|(_, other)| {
                let held = other.prompt.iter().chain(&answer);
                held.zip(&asked.prompt).take_while(|(a, b)| a == b).count()
            });
            prop_assert!(asked.reused <= common.max().unwrap_or(0));
        }
    }
}
