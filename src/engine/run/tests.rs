//! The loop on scripts: one client must not affect another.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel as std_channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::*;
use crate::engine::deadline::Deadline;
use crate::engine::scripted::{ByteVocab, ScriptedDecoder};
use crate::engine::{
    Canceller, Caps, Counters, DecodeError, FinishReason, Grammar, Markup, Reply, Request, Rules,
    SamplingError, SamplingParams, SlotState, Submitter, channel,
};

const CAPS: Caps =
    Caps { sequences: 2, context: 64, batch: 8, can_trim: true, can_cache: true, can_copy: true };

/// Longer than anything here takes.
const DEADLINE: Duration = Duration::from_mins(1);

fn start(decoder: ScriptedDecoder) -> (Submitter, JoinHandle<Result<(), Error>>) {
    let (submitter, inbox) = channel(&decoder, &ByteVocab);
    let limits = Limits::of(decoder.caps());
    (submitter, thread::spawn(move || run(decoder, ByteVocab, &inbox, limits)))
}

fn ask(text: &str) -> Request {
    Request::new(tokens(text), SamplingParams::greedy())
}

fn tokens(text: &str) -> Vec<Token> {
    ByteVocab.tokenize(text, Markup::Plain)
}

fn cached_prefix(submitter: &Submitter, text: &str) -> Result<usize, Error> {
    submitter.cached_prefix(Prompt { namespace: Namespace::default(), tokens: &tokens(text) })
}

fn read(reply: &mut Reply) -> (String, Event) {
    let _deadline = Deadline::start();
    let mut text = String::new();
    loop {
        match reply.wait().expect("a terminal event comes before the end") {
            Event::Delta { text: more, .. } => text += &more,
            Event::Progress { .. } => {}
            terminal => {
                assert_eq!(reply.wait(), None, "nothing follows a terminal event");
                return (text, terminal);
            }
        }
    }
}

/// Makes every step report its prompts and wait, until the test lets it pass or it is aborted.
struct Gate {
    entered: Receiver<Vec<Vec<Token>>>,
    leave: Sender<()>,
}

impl Gate {
    /// Answers without end; every step waits.
    fn new() -> (ScriptedDecoder, Self) {
        let caps = Caps { context: u32::MAX, ..CAPS };
        let decoder = ScriptedDecoder::new(caps, Box::new(|_, _| vec![Token(97)]));
        let (enter, entered) = std_channel();
        let (leave, left) = std_channel();
        let abort = decoder.abort();
        let fault = move |prompts: &[&[Token]]| {
            // The test may have ended.
            drop(enter.send(prompts.iter().map(|prompt| prompt.to_vec()).collect()));
            loop {
                if abort.is_raised() {
                    return Some(DecodeError::Aborted);
                }
                let waited = left.recv_timeout(Duration::from_millis(1));
                if waited != Err(RecvTimeoutError::Timeout) {
                    return None;
                }
            }
        };
        (decoder.failing(false, Box::new(fault)), Self { entered, leave })
    }

    /// Waits for a step; its prompts.
    fn step(&self) -> Vec<Vec<Token>> {
        self.entered.recv_timeout(DEADLINE).expect("a step begins")
    }

    fn pass(&self) {
        self.leave.send(()).unwrap();
    }
}

/// Two open requests; the step that they share has begun and waits.
fn sharing_a_step(submitter: &Submitter, gate: &Gate) -> (Reply, Reply) {
    let one = submitter.submit(ask("one")).unwrap();
    gate.step();
    let two = submitter.submit(ask("two")).unwrap();
    gate.pass();
    assert_eq!(gate.step().len(), 2, "the step is shared");
    (one, two)
}

#[test]
fn five_requests_share_two_slots_and_all_are_answered() {
    let (submitter, thread) = start(ScriptedDecoder::saying(CAPS, "grüße"));
    let replies: Vec<Reply> = (0..5).map(|_| submitter.submit(ask("a longer prompt")).unwrap()).collect();
    for mut reply in replies {
        let (text, end) = read(&mut reply);
        assert_eq!(text, "grüße");
        let Event::Finished { reason, usage, .. } = end else { panic!("{end:?}") };
        assert_eq!((reason, usage.prompt_tokens, usage.completion_tokens), (FinishReason::Stop, 15, 8));
    }
    submitter.shutdown();
    assert_eq!(thread.join().unwrap(), Ok(()));
    assert!(matches!(submitter.submit(ask("x")), Err(Error::Gone)));
}

#[test]
fn a_panic_fails_every_open_request_once_and_ends_the_engine() {
    let script = |_: &[Token], written: &[Token]| {
        assert!(written.len() < 3, "the script is over");
        vec![Token(97)]
    };
    let (submitter, thread) = start(ScriptedDecoder::new(CAPS, Box::new(script)));
    let replies: Vec<Reply> = (0..4).filter_map(|_| submitter.submit(ask("x")).ok()).collect();
    for mut reply in replies {
        let (_, end) = read(&mut reply);
        assert!(matches!(end, Event::Failed(Error::Panicked { .. } | Error::Gone)), "{end:?}");
    }
    assert!(
        matches!(thread.join().unwrap(), Err(Error::Panicked { message }) if message == "the script is over")
    );
}

#[test]
fn cancelling_and_dropping_end_an_endless_answer() {
    let _deadline = Deadline::start();
    let caps = Caps { context: u32::MAX, ..CAPS };
    let (submitter, _thread) = start(ScriptedDecoder::new(caps, Box::new(|_, _| vec![Token(97)])));
    drop(submitter.submit(ask("one")).unwrap());
    drop(submitter.submit(ask("two")).unwrap());
    // Both slots must become free for this one to be answered.
    let mut reply = submitter.submit(ask("three")).unwrap();
    while !matches!(reply.wait(), Some(Event::Delta { .. })) {}
    reply.canceller().cancel();
    let (_, end) = read(&mut reply);
    assert!(matches!(end, Event::Finished { reason: FinishReason::Cancelled, .. }), "{end:?}");
    submitter.shutdown();
}

#[test]
fn an_impossible_request_is_refused_at_once_and_others_continue() {
    let (submitter, _thread) = start(ScriptedDecoder::saying(CAPS, "ok"));
    let mut good = submitter.submit(ask("x")).unwrap();
    let refused = |request: Request| {
        let error = submitter.submit(request.clone()).unwrap_err();
        assert_eq!(submitter.check(&request).unwrap_err(), error);
        error
    };
    assert_eq!(refused(ask(&"x".repeat(64))), Error::PromptTooLong { tokens: 64, context: 64 });
    assert_eq!(refused(ask("")), Error::PromptEmpty);
    let unknown = Request { prompt: vec![Token(1), Token(257)].into(), ..ask("x") };
    assert_eq!(refused(unknown), Error::TokenUnknown { token: 257, position: 1, size: 257 });
    let ending = crate::engine::Reasoning {
        open: crate::engine::Opening::Prompt,
        close: ">".to_owned(),
        ending: vec![Token(-1)],
        budget: None,
    };
    let unknown = Request { reasoning: Some(ending), ..ask("x") };
    assert_eq!(refused(unknown), Error::EndingUnknown { token: -1, size: 257 });
    assert!(matches!(refused(with_schema("x")), Error::Sampling(SamplingError::Grammar { .. })));
    assert_eq!(submitter.check(&ask("x")), Ok(()));
    assert_eq!(read(&mut good).0, "ok");
    submitter.shutdown();
}

fn with_schema(text: &str) -> Request {
    let mut request = ask(text);
    request.sampling.grammar =
        Some(Grammar { rules: Rules::JsonSchema("{}".to_owned()).into(), after: None });
    request
}

#[test]
fn a_large_schema_stalls_no_other_request() {
    let (entered, compiling) = std_channel();
    let (release, held) = std_channel::<()>();
    let held = Mutex::new(held);
    let compile = move |_: &Grammar| {
        entered.send(thread::current().id()).unwrap();
        held.lock().unwrap().recv_timeout(DEADLINE).map_err(|_| SamplingError::Breaker)
    };
    let decoder = ScriptedDecoder::saying(CAPS, "ok").compiling(Arc::new(compile));
    let (submitter, thread) = start(decoder);
    let slow = {
        let submitter = submitter.clone();
        thread::spawn(move || read(&mut submitter.submit(with_schema("large")).unwrap()).0)
    };
    let compiler = compiling.recv_timeout(DEADLINE).unwrap();
    assert_eq!(compiler, slow.thread().id(), "the caller compiles");
    // The other requests are answered while the schema is still being compiled.
    for _ in 0..5 {
        assert_eq!(read(&mut submitter.submit(ask("small")).unwrap()).0, "ok");
    }
    assert!(!slow.is_finished());
    release.send(()).unwrap();
    assert_eq!(slow.join().unwrap(), "ok");
    assert!(compiling.try_recv().is_err(), "it is compiled once");
    submitter.shutdown();
    assert_eq!(thread.join().unwrap(), Ok(()));
}

#[test]
fn a_prepared_request_is_compiled_once_and_submitted_later() {
    let (entered, compiling) = std_channel();
    let compile = move |_: &Grammar| {
        entered.send(()).unwrap();
        Ok(())
    };
    let (submitter, _thread) = start(ScriptedDecoder::saying(CAPS, "ok").compiling(Arc::new(compile)));
    let prepared = submitter.prepare(with_schema("x")).unwrap();
    assert_eq!(read(&mut submitter.submit_prepared(prepared).unwrap()).0, "ok");
    assert_eq!(compiling.try_iter().count(), 1);
    submitter.shutdown();
}

#[test]
fn a_cancelled_request_aborts_a_step_of_its_own() {
    let _deadline = Deadline::start();
    for drop_it in [false, true] {
        let (decoder, gate) = Gate::new();
        let (submitter, thread) = start(decoder);
        let mut reply = submitter.submit(ask("one")).unwrap();
        gate.step();
        // Nothing lets the step end but the abort.
        if drop_it {
            drop(reply);
        } else {
            reply.canceller().cancel();
            let (_, end) = read(&mut reply);
            assert!(matches!(end, Event::Finished { reason: FinishReason::Cancelled, .. }), "{end:?}");
        }
        let mut next = submitter.submit(ask("two")).unwrap();
        assert_eq!(gate.step(), [tokens("two")]);
        gate.pass();
        while !matches!(next.wait(), Some(Event::Delta { .. })) {}
        gate.step();
        let counters = submitter.status().borrow().counters;
        assert_eq!((counters.aborted_steps, counters.cancelled), (1, 1));
        submitter.shutdown();
        assert_eq!(thread.join().unwrap(), Ok(()));
    }
}

#[test]
fn a_cancelled_request_leaves_a_shared_step_at_its_end() {
    let (decoder, gate) = Gate::new();
    let abort = decoder.abort();
    let (submitter, thread) = start(decoder);
    let (mut one, mut two) = sharing_a_step(&submitter, &gate);
    one.canceller().cancel();
    assert!(!abort.is_raised());
    gate.pass();
    let (text, end) = read(&mut one);
    assert!(matches!(end, Event::Finished { reason: FinishReason::Cancelled, .. }), "{end:?}");
    assert_eq!(text, "aa", "what the shared step gave is delivered");
    assert_eq!(gate.step(), [tokens("two")]);
    gate.pass();
    two.canceller().cancel();
    // Its step may have ended before.
    let (text, _) = read(&mut two);
    assert!(text.starts_with('a'), "{text}");
    let counters = submitter.status().borrow().counters;
    assert_eq!(counters.tokens_recomputed, 0);
    submitter.shutdown();
    assert_eq!(thread.join().unwrap(), Ok(()));
}

#[test]
fn a_canceller_does_not_wait_for_a_full_queue() {
    let _deadline = Deadline::start();
    let (decoder, gate) = Gate::new();
    let (submitter, thread) = start(decoder);
    let (mut one, mut two) = sharing_a_step(&submitter, &gate);
    // The loop takes nothing while the step waits.
    let mut waiting = Vec::new();
    let full = loop {
        match submitter.submit(ask("more")) {
            Ok(reply) => waiting.push(reply),
            Err(error) => break error,
        }
    };
    assert!(matches!(full, Error::QueueFull { .. }), "{full:?}");
    assert!(matches!(cached_prefix(&submitter, "one"), Err(Error::QueueFull { .. })));
    let cancellers: Vec<Canceller> = [&one, &two].map(Reply::canceller).to_vec();
    let (done, cancelled) = std_channel();
    thread::spawn(move || {
        cancellers.iter().for_each(Canceller::end_reasoning);
        cancellers.iter().for_each(Canceller::cancel);
        done.send(()).unwrap();
    });
    cancelled.recv_timeout(DEADLINE).expect("nothing waits for the queue");
    gate.pass();
    for reply in [&mut one, &mut two] {
        let (_, end) = read(reply);
        assert!(matches!(end, Event::Finished { reason: FinishReason::Cancelled, .. }), "{end:?}");
    }
    submitter.shutdown();
    assert_eq!(thread.join().unwrap(), Ok(()));
}

#[test]
fn shutting_down_aborts_a_shared_step() {
    let (decoder, gate) = Gate::new();
    let (submitter, thread) = start(decoder);
    let (mut one, mut two) = sharing_a_step(&submitter, &gate);
    submitter.shutdown();
    for reply in [&mut one, &mut two] {
        assert_eq!(read(reply).1, Event::Failed(Error::Shutdown));
    }
    assert_eq!(thread.join().unwrap(), Ok(()));
}

#[test]
fn a_lost_worker_fails_every_request_in_a_slot() {
    let lost = DecodeError::WorkerLost { endpoint: "host:1".to_owned() };
    let error = lost.clone();
    let decoder = ScriptedDecoder::saying(CAPS, "ok").failing(true, Box::new(move |_| Some(error.clone())));
    let (submitter, _thread) = start(decoder);
    let replies: Vec<Reply> = (0..5).map(|_| submitter.submit(ask("x")).unwrap()).collect();
    for mut reply in replies {
        assert_eq!(read(&mut reply).1, Event::Failed(Error::Decode(lost.clone())));
    }
    submitter.shutdown();
}

#[test]
fn progress_is_reported_on_admission_and_after_each_step_of_a_prefill() {
    let _deadline = Deadline::start();
    let (submitter, _thread) = start(ScriptedDecoder::saying(CAPS, "ok"));
    let progress = |text: &str| {
        let mut reply = submitter.submit(ask(text)).unwrap();
        let mut seen = Vec::new();
        loop {
            match reply.wait().unwrap() {
                Event::Progress { total, reused, read } => seen.push((total, reused, read)),
                Event::Delta { .. } => {}
                _ => return seen,
            }
        }
    };
    assert_eq!(progress("a prompt of 20 token"), [(20, 0, 0), (20, 0, 8), (20, 0, 16), (20, 0, 20)]);
    assert_eq!(progress("a prompt of 20 more"), [(19, 15, 0), (19, 15, 4)]);
    submitter.shutdown();
}

#[test]
fn the_status_shows_slots_queue_and_counters() {
    let (decoder, gate) = Gate::new();
    let (submitter, thread) = start(decoder);
    let mut status = submitter.status();
    let one = submitter.submit(ask("one")).unwrap();
    gate.step();
    let two = submitter.submit(ask("two")).unwrap();
    let three = submitter.submit(ask("three")).unwrap();
    gate.pass();
    gate.step();
    let seen = status.borrow_and_update().clone();
    assert_eq!(seen.counters.steps, 1);
    assert_eq!(seen.slots[0].request, Some(one.canceller().id()));
    assert_eq!((seen.slots[0].state, seen.slots[0].tokens), (SlotState::Decode, 3));
    assert_eq!(seen.slots[1].state, SlotState::Idle);
    gate.pass();
    gate.step();
    let seen = status.borrow_and_update().clone();
    assert_eq!((seen.slots[1].request, seen.waiting.len()), (Some(two.canceller().id()), 1));
    let expected = Counters {
        accepted: 3,
        steps: 2,
        step_slots: 3,
        tokens_read: 6,
        tokens_written: 3,
        ..Counters::default()
    };
    assert_eq!(seen.counters, expected);
    assert_eq!((seen.slots[0].usage.prompt_tokens, seen.slots[0].usage.completion_tokens), (3, 2));
    assert_eq!(
        seen.distributions.step_tokens.cumulative().take(3).collect::<Vec<_>>(),
        [(1, 0), (2, 0), (4, 2)]
    );
    assert_eq!((seen.distributions.step_tokens.sum(), seen.distributions.token_times.count()), (7, 1));
    drop((one, two, three));
    submitter.shutdown();
    assert_eq!(thread.join().unwrap(), Ok(()));
}

#[test]
fn the_status_is_not_older_than_the_last_event() {
    let decoder = ScriptedDecoder::saying(CAPS, "ok");
    let (submitter, _thread) = start(decoder);
    let status = submitter.status();
    for finished in 1..100 {
        let mut reply = submitter.submit(ask("one")).unwrap();
        while reply.wait().is_some_and(|event| !event.is_terminal()) {}
        let seen = status.borrow();
        assert_eq!(seen.counters.finished, finished);
        assert!(seen.slots.iter().all(|slot| slot.state == SlotState::Idle));
    }
    submitter.shutdown();
}

#[test]
fn an_eviction_is_announced_before_the_sequence_is_overwritten_and_can_be_saved() {
    let caps = Caps { sequences: 1, ..CAPS };
    let decoder = ScriptedDecoder::saying(caps, "ok");
    let (submitter, inbox) = channel(&decoder, &ByteVocab);
    let (send, evicted) = std_channel();
    inbox.on_eviction(Box::new(move |evicted| {
        let (whole, stays) = (evicted.sequence.tokens.clone(), evicted.stays);
        assert_eq!((evicted.longest(usize::MAX), evicted.bytes()), (whole.len(), 4 * whole.len() as u64));
        assert_eq!(evicted.longest(stays - 1), 0);
        let saved = evicted.save(whole.len()).unwrap();
        assert_eq!(saved.tokens(), whole);
        send.send((saved, stays)).unwrap();
    }));
    let thread = thread::spawn(move || run(decoder, ByteVocab, &inbox, Limits::of(caps)));
    let turn = |text: &str| read(&mut submitter.submit(ask(text)).unwrap()).1;
    turn("first prompt ");
    assert_eq!(cached_prefix(&submitter, "first prompt ok and more"), Ok(15));
    assert_eq!(cached_prefix(&submitter, "fir"), Ok(2), "one token must be read");
    // A continuation overwrites nothing.
    turn("first prompt ok and ");
    assert!(evicted.try_recv().is_err());
    turn("first words ");
    let (saved, stays) = evicted.recv_timeout(DEADLINE).unwrap();
    assert_eq!((saved.tokens(), stays), (&tokens("first prompt ok and ok")[..], 6));
    submitter.restore(Namespace::default(), saved).unwrap();
    let (replaced, stays) = evicted.recv_timeout(DEADLINE).unwrap();
    assert_eq!((replaced.tokens(), stays), (&tokens("first words ok")[..], 6));
    let Event::Finished { usage, .. } = turn("first prompt ok and ok again") else { panic!() };
    assert_eq!(usage.reused_tokens, 22);
    submitter.shutdown();
    assert_eq!(thread.join().unwrap(), Ok(()));
}
