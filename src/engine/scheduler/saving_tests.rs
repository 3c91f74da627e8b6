//! Sequences that are moved from one engine to another.

use super::reuse_tests::{Chat, FIRST, SECOND, STATE};
use crate::engine::scripted::ByteVocab;
use crate::engine::{Decoder as _, Error, Markup, Namespace, Prompt, Saved, Span, Token, Vocab as _};
use std::time::Duration;

fn tokens(marked: &str) -> Vec<Token> {
    ByteVocab.tokenize(&marked.replace('|', ""), Markup::Plain)
}

fn save(chat: &mut Chat, marked: &str) -> Option<Saved> {
    let (seq, tokens, step) =
        chat.scheduler.hold(Prompt { namespace: Namespace::default(), tokens: &tokens(marked) })?;
    chat.decoder.step(&step).expect("the scheduler keeps the decoder's contract");
    Some(chat.decoder.save(seq, tokens).unwrap())
}

fn restore(chat: &mut Chat, saved: &Saved) -> Result<(), Error> {
    let (seq, step) = chat.scheduler.vacate(Namespace::default(), saved.tokens())?;
    chat.decoder.step(&step).expect("the scheduler keeps the decoder's contract");
    chat.decoder.restore(seq, saved).unwrap();
    let step = chat.scheduler.occupy(seq, Namespace::default(), saved.tokens().to_vec());
    let outcome = chat.decoder.step(&step).expect("the scheduler keeps the decoder's contract");
    chat.scheduler.commit(&outcome, Span { from: Duration::ZERO, to: Duration::ZERO });
    Ok(())
}

#[test]
fn the_next_turn_resumes_from_what_was_saved_of_the_last() {
    // A sequence that cannot be trimmed is taken back to its last state; others are cut where the prompts differ.
    for (can_trim, shared) in [(false, "system.user: a."), (true, "system.user: a.model: ")] {
        let mut old = Chat::new(2, 10 * STATE, can_trim);
        assert_eq!(save(&mut old, SECOND), None);
        old.ask(FIRST);
        let saved = save(&mut old, SECOND).unwrap();
        assert_eq!(saved.tokens(), tokens(shared));
        // The engine that saved it resumes as before.
        assert_eq!(old.ask(SECOND).reused_tokens as usize, shared.len());

        let mut new = Chat::new(2, 10 * STATE, can_trim);
        new.ask("something else");
        restore(&mut new, &saved).unwrap();
        assert_eq!(new.ask(SECOND).reused_tokens as usize, shared.len());
        // Another copy replaces what the slot held.
        restore(&mut new, &saved).unwrap();
        restore(&mut new, &saved).unwrap();
        assert_eq!(new.ask(SECOND).reused_tokens as usize, shared.len());
    }
}

#[test]
fn an_aborted_step_falls_back_to_what_was_restored() {
    let mut old = Chat::new(1, 10 * STATE, false);
    old.ask(FIRST);
    let saved = save(&mut old, SECOND).unwrap();
    let mut new = Chat::new(1, 10 * STATE, false);
    restore(&mut new, &saved).unwrap();
    assert_eq!(new.decoder.cached(), 1);
    new.abort_a_step_of(SECOND);
    assert_eq!(new.ask(SECOND).reused_tokens as usize, saved.tokens().len());
}

#[test]
fn a_copy_that_fits_nowhere_is_refused_and_changes_nothing() {
    let mut chat = Chat::new(1, 10 * STATE, false);
    chat.ask(FIRST);
    let long = vec![Token(97); 1000];
    let vacate = |chat: &mut Chat, tokens: &[Token]| chat.scheduler.vacate(Namespace::default(), tokens);
    assert!(matches!(vacate(&mut chat, &long), Err(Error::PromptTooLong { tokens: 1000, .. })));
    assert!(matches!(vacate(&mut chat, &[Token(-1)]), Err(Error::TokenUnknown { token: -1, .. })));
    chat.give_a_slot_work(FIRST);
    assert_eq!(vacate(&mut chat, &[Token(97)]).err(), Some(Error::Busy));
    assert_eq!(save(&mut chat, FIRST), None, "a busy slot is not touched");
    assert_eq!(chat.scheduler.idle_sequences(), []);
}

#[test]
fn an_idle_sequence_is_copied_where_it_can_be_cut_and_only_if_it_is_still_there() {
    for (can_trim, lengths) in [(false, [0, 7, 15, 29]), (true, [6, 7, 28, 29])] {
        let mut chat = Chat::new(1, 10 * STATE, can_trim);
        chat.ask(FIRST);
        let sequence = chat.scheduler.idle_sequences().pop().unwrap();
        assert_eq!(sequence.tokens, tokens("system.user: a.model: <hm>yes"));
        assert_eq!([6, 7, 28, 29].map(|most| sequence.longest(0, most)), lengths);
        assert_eq!(sequence.longest(30, 28), 0);
        for length in [0, 30] {
            assert_eq!(chat.scheduler.cut(&sequence, length), None);
        }
        assert_eq!(chat.scheduler.cut(&sequence, 6).is_some(), can_trim);
        let mut chat = Chat::new(1, 10 * STATE, can_trim);
        chat.ask(FIRST);
        let (seq, kept, step) = chat.scheduler.cut(&sequence, 15).unwrap();
        chat.decoder.step(&step).unwrap();
        assert_eq!(chat.decoder.save(seq, kept).unwrap().tokens(), tokens("system.user: a."));
        assert_eq!(chat.scheduler.cut(&sequence, 15), None, "the slot no longer holds it");
        assert_eq!(chat.ask(SECOND).reused_tokens, 15);
    }
}
