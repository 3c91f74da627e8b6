//! The loop: commands in, steps through the decoder, events out.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::TryRecvError;
use std::time::Instant;

use tokio::sync::mpsc::UnboundedSender;

use super::{
    Command, DecodeError, Decoder, Error, Event, Events, Inbox, Limits, RequestId, Saved, Scheduler, Span,
    Submission, Token, Vocab,
};

/// Serves an inbox until it is shut down or nobody can send to it any more.
///
/// Returns early only when decoder or scheduler panic; every open request has then been told.
///
/// # Errors
///
/// [`Error::Panicked`] with what the panic said.
pub fn run(decoder: impl Decoder, vocab: impl Vocab, inbox: &Inbox, limits: Limits) -> Result<(), Error> {
    let scheduler = Scheduler::new(vocab, decoder.caps(), limits);
    let hurry = inbox.hurry();
    let mut engine = Engine { decoder, scheduler, hurry, open: BTreeMap::new(), epoch: Instant::now() };
    let end = catch_unwind(AssertUnwindSafe(|| engine.serve(inbox)));
    let (result, told) = match end {
        Ok(()) => (Ok(()), Error::Shutdown),
        Err(panic) => {
            let error = Error::Panicked { message: message(panic.as_ref()) };
            (Err(error.clone()), error)
        }
    };
    for events in std::mem::take(&mut engine.open).into_values() {
        tell(&events, Event::Failed(told.clone()));
    }
    while let Ok(command) = inbox.commands.try_recv() {
        if let Command::Submit(submission) = command {
            tell(&submission.events, Event::Failed(told.clone()));
        }
    }
    result
}

struct Engine<D, V> {
    decoder: D,
    scheduler: Scheduler<V>,
    hurry: Arc<AtomicBool>,
    open: BTreeMap<RequestId, UnboundedSender<Event>>,
    epoch: Instant,
}

impl<D: Decoder, V: Vocab> Engine<D, V> {
    fn serve(&mut self, inbox: &Inbox) {
        while self.listen(inbox) {
            self.sweep();
            self.turn();
        }
    }

    /// Takes all commands there are, waiting for one only when there is nothing else to do.
    fn listen(&mut self, inbox: &Inbox) -> bool {
        if self.scheduler.is_idle() {
            let Ok(command) = inbox.commands.recv() else { return false };
            if !self.obey(command) {
                return false;
            }
        }
        loop {
            match inbox.commands.try_recv() {
                Ok(command) => {
                    if !self.obey(command) {
                        return false;
                    }
                }
                Err(TryRecvError::Empty) => return true,
                // Nobody can ask for more, but what was asked is still to be answered.
                Err(TryRecvError::Disconnected) => return !self.scheduler.is_idle(),
            }
        }
    }

    fn obey(&mut self, command: Command) -> bool {
        match command {
            Command::Submit(submission) => self.submit(*submission),
            Command::Cancel(id) => {
                self.hurry.store(false, Ordering::Relaxed);
                self.cancel(id);
            }
            Command::EndReasoning(id) => self.scheduler.end_reasoning(id),
            // Whoever asked may have gone.
            Command::Save { prompt, reply } => drop(reply.send(self.save(&prompt))),
            Command::Restore { saved, reply } => drop(reply.send(self.restore(*saved))),
            Command::Shutdown => return false,
        }
        true
    }

    fn submit(&mut self, Submission { id, request, arrived, events }: Submission) {
        let arrived = arrived.saturating_duration_since(self.epoch);
        let checked = self.decoder.check(&request.sampling).map_err(Error::Sampling);
        match checked.and_then(|()| self.scheduler.submit(id, request, arrived)) {
            Ok(()) => drop(self.open.insert(id, events)),
            Err(error) => tell(&events, Event::Failed(error)),
        }
    }

    fn save(&mut self, prompt: &[Token]) -> Result<Saved, Error> {
        let (seq, tokens, step) = self.scheduler.hold(prompt).ok_or(Error::NothingToSave)?;
        let saved = self.decoder.step(&step).and_then(|_| self.decoder.save(seq));
        saved.map(|state| Saved { tokens, state }).map_err(|error| {
            self.scheduler.lose(seq);
            Error::Decode(error)
        })
    }

    fn restore(&mut self, saved: Saved) -> Result<(), Error> {
        let (seq, step) = self.scheduler.vacate(&saved.tokens)?;
        let restored = self.decoder.step(&step).and_then(|_| self.decoder.restore(seq, &saved));
        let from = self.epoch.elapsed();
        let kept = restored.and_then(|()| self.decoder.step(&self.scheduler.occupy(seq, saved.tokens)));
        let outcome = kept.map_err(|error| {
            self.scheduler.lose(seq);
            Error::Decode(error)
        })?;
        self.scheduler.commit(&outcome, Span { from, to: self.epoch.elapsed() });
        Ok(())
    }

    fn cancel(&mut self, id: RequestId) {
        let event = self.scheduler.cancel(id);
        if let (Some(events), Some(event)) = (self.open.remove(&id), event) {
            tell(&events, event);
        }
    }

    /// A receiver that was dropped is a cancellation.
    fn sweep(&mut self) {
        let gone: Vec<RequestId> =
            self.open.iter().filter(|(_, e)| e.is_closed()).map(|(id, _)| *id).collect();
        for id in gone {
            self.cancel(id);
        }
    }

    fn turn(&mut self) {
        let step = self.scheduler.next();
        if step.is_empty() {
            return;
        }
        let from = self.epoch.elapsed();
        let result = self.decoder.step(&step);
        let events = match result {
            Ok(outcome) => self.scheduler.commit(&outcome, Span { from, to: self.epoch.elapsed() }),
            Err(DecodeError::Interrupted) => return self.scheduler.interrupted(),
            Err(error) => self.scheduler.fail(&Error::Decode(error)),
        };
        self.deliver(events);
    }

    fn deliver(&mut self, events: Events) {
        for (id, event) in events {
            let terminal = event.is_terminal();
            if let Some(sender) = self.open.get(&id) {
                tell(sender, event);
            }
            if terminal {
                self.open.remove(&id);
            }
        }
    }
}

/// Sends; whoever dropped the receiver does not want to know.
fn tell(events: &UnboundedSender<Event>, event: Event) {
    drop(events.send(event));
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::scripted::{ByteVocab, ScriptedDecoder};
    use crate::engine::{Caps, FinishReason, Markup, Reply, Request, SamplingParams, Submitter, channel};
    use std::thread::{self, JoinHandle};

    const CAPS: Caps =
        Caps { sequences: 2, context: 64, batch: 8, can_trim: true, can_keep: true, can_copy: true };

    fn start(decoder: ScriptedDecoder) -> (Submitter, JoinHandle<Result<(), Error>>) {
        let (submitter, inbox) = channel();
        let limits = Limits::of(decoder.caps());
        (submitter, thread::spawn(move || run(decoder, ByteVocab, &inbox, limits)))
    }

    fn ask(text: &str) -> Request {
        let prompt = ByteVocab.tokenize(text, Markup::Plain);
        Request::new(prompt, SamplingParams::greedy())
    }

    fn read(reply: &mut Reply) -> (String, Event) {
        let mut text = String::new();
        loop {
            match reply.wait().expect("a terminal event comes before the end") {
                Event::Delta { text: more, .. } => text += &more,
                terminal => {
                    assert_eq!(reply.wait(), None, "nothing follows a terminal event");
                    return (text, terminal);
                }
            }
        }
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
        let caps = Caps { context: u32::MAX, ..CAPS };
        let (submitter, _thread) = start(ScriptedDecoder::new(caps, Box::new(|_, _| vec![Token(97)])));
        drop(submitter.submit(ask("one")).unwrap());
        drop(submitter.submit(ask("two")).unwrap());
        // Both slots must come free again for this one to be answered.
        let mut reply = submitter.submit(ask("three")).unwrap();
        assert!(matches!(reply.wait(), Some(Event::Delta { .. })));
        reply.canceller().cancel();
        let (_, end) = read(&mut reply);
        assert!(matches!(end, Event::Finished { reason: FinishReason::Cancelled, .. }), "{end:?}");
        submitter.shutdown();
    }

    #[test]
    fn an_impossible_request_fails_and_the_others_go_on() {
        let (submitter, _thread) = start(ScriptedDecoder::saying(CAPS, "ok"));
        let mut long = submitter.submit(ask(&"x".repeat(64))).unwrap();
        let mut good = submitter.submit(ask("x")).unwrap();
        assert_eq!(read(&mut long).1, Event::Failed(Error::PromptTooLong { tokens: 64, context: 64 }));
        assert_eq!(read(&mut good).0, "ok");
        submitter.shutdown();
    }
}
