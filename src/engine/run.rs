//! The loop: commands in, steps through the decoder, events out.

#[cfg(test)]
mod tests;

use std::any::Any;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::TryRecvError;
use std::time::Instant;

use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;

use super::canceller::Wishes;
use super::{
    Abort, Command, Decoder, Error, Event, Events, Evicted, IdleSequence, Inbox, Limits, Namespace,
    OnEviction, Prompt, RequestId, Saved, Scheduler, SeqId, SeqOp, Span, Status, Step, Submission, Token,
    Vocab,
};

/// Serves an inbox until it is shut down, or every submitter is dropped and no request is open.
///
/// Returns early only when the decoder or the scheduler panics; every open request has failed then.
///
/// # Errors
///
/// [`Error::Panicked`] with the panic's message.
pub fn run(decoder: impl Decoder, vocab: impl Vocab, inbox: &Inbox, limits: Limits) -> Result<(), Error> {
    let mut scheduler = Scheduler::new(vocab, decoder.caps(), limits);
    let on_eviction = inbox.on_eviction.take();
    if on_eviction.is_some() {
        scheduler.announce_evictions();
    }
    let (abort, open, epoch) = (inbox.abort.clone(), BTreeMap::new(), Instant::now());
    let mut engine = Engine { decoder, scheduler, abort, open, epoch, on_eviction };
    let end = catch_unwind(AssertUnwindSafe(|| engine.serve(inbox)));
    let (result, reason) = match end {
        Ok(()) => (Ok(()), Error::Shutdown),
        Err(panic) => {
            let error = Error::Panicked { message: message(panic.as_ref()) };
            (Err(error.clone()), error)
        }
    };
    for open in std::mem::take(&mut engine.open).into_values() {
        send(&open.events, Event::Failed(reason.clone()));
    }
    while let Ok(command) = inbox.commands.try_recv() {
        if let Command::Submit(submission) = command {
            send(&submission.events, Event::Failed(reason.clone()));
        }
    }
    result
}

struct Engine<D, V> {
    decoder: D,
    scheduler: Scheduler<V>,
    abort: Abort,
    open: BTreeMap<RequestId, Open>,
    epoch: Instant,
    on_eviction: Option<OnEviction>,
}

/// The client of an open request.
struct Open {
    events: UnboundedSender<Event>,
    wishes: Arc<Wishes>,
}

impl<D: Decoder, V: Vocab> Engine<D, V> {
    fn serve(&mut self, inbox: &Inbox) {
        publish(&inbox.status, self.scheduler.status());
        while self.receive(inbox) {
            self.sweep();
            self.step(&inbox.status);
        }
    }

    /// Takes all commands in the queue; waits for one only when no request is open.
    fn receive(&mut self, inbox: &Inbox) -> bool {
        if self.scheduler.is_idle() {
            let Ok(command) = inbox.commands.recv() else { return false };
            if !self.handle(command) {
                return false;
            }
        }
        loop {
            match inbox.commands.try_recv() {
                Ok(command) => {
                    if !self.handle(command) {
                        return false;
                    }
                }
                Err(TryRecvError::Empty) => return true,
                // Every submitter is dropped; the open requests are still served.
                Err(TryRecvError::Disconnected) => return !self.scheduler.is_idle(),
            }
        }
    }

    /// Returns false when the loop is to end. A reply whose receiver is gone is dropped.
    fn handle(&mut self, command: Command) -> bool {
        match command {
            Command::Submit(submission) => self.submit(*submission),
            Command::CachedPrefix { namespace, prompt, reply } => {
                let prompt = Prompt { namespace, tokens: &prompt };
                drop(reply.send(Ok(self.scheduler.cached_prefix(prompt))));
            }
            Command::Save { namespace, prompt, reply } => {
                let held = self.scheduler.hold(Prompt { namespace, tokens: &prompt });
                drop(reply.send(self.save(held)));
            }
            Command::IdleSequences { reply } => {
                let sequences = self.scheduler.idle_sequences().into_iter();
                let sized = sequences.map(|sequence| (self.decoder.saved_bytes(sequence.seq), sequence));
                drop(reply.send(sized.map(|(bytes, sequence)| (sequence, bytes)).collect()));
            }
            Command::SaveIdle { sequence, length, reply } => {
                let begin = Instant::now();
                let held = self.scheduler.cut(&sequence, length);
                let saved = self.save(held);
                drop(reply.send(saved.map(|saved| (saved, begin.elapsed()))));
            }
            Command::Restore { namespace, saved, reply } => {
                drop(reply.send(self.restore(namespace, *saved)));
            }
            Command::Shutdown => return false,
        }
        true
    }

    fn submit(&mut self, submission: Submission) {
        let Submission { id, request, sampler, arrived, events, wishes } = submission;
        let arrived = arrived.saturating_duration_since(self.epoch);
        match self.scheduler.submit_prepared(id, request, Some(sampler), arrived) {
            Ok(()) => drop(self.open.insert(id, Open { events, wishes })),
            Err(error) => send(&events, Event::Failed(error)),
        }
    }

    fn save(&mut self, held: Option<(SeqId, Vec<Token>, Step)>) -> Result<Saved, Error> {
        let (seq, tokens, step) = held.ok_or(Error::NothingToSave)?;
        let saved = self.decoder.step(&step).and_then(|_| self.decoder.save(seq, tokens));
        saved.map_err(|error| {
            self.scheduler.lose(seq);
            Error::Decode(error)
        })
    }

    fn restore(&mut self, namespace: Namespace, saved: Saved) -> Result<(), Error> {
        let (seq, step) = self.scheduler.vacate(namespace, saved.tokens())?;
        self.notify_evictions(&step);
        let restored = self.decoder.step(&step).and_then(|_| self.decoder.restore(seq, &saved));
        let from = self.epoch.elapsed();
        let cached = restored
            .and_then(|()| self.decoder.step(&self.scheduler.occupy(seq, namespace, saved.into_tokens())));
        let outcome = cached.map_err(|error| {
            self.scheduler.lose(seq);
            Error::Decode(error)
        })?;
        self.scheduler.commit(&outcome, Span { from, to: self.epoch.elapsed() });
        Ok(())
    }

    /// Carries out what clients asked for since the last step. A dropped receiver is a cancellation.
    fn sweep(&mut self) {
        let mut cancelled = Vec::new();
        for (&id, open) in &self.open {
            if open.wishes.cancel() || open.events.is_closed() {
                cancelled.push(id);
            } else if open.wishes.take_end_reasoning() {
                self.scheduler.end_reasoning(id);
            }
        }
        for id in cancelled {
            let event = self.scheduler.cancel(id);
            if let (Some(open), Some(event)) = (self.open.remove(&id), event) {
                send(&open.events, event);
            }
        }
    }

    fn step(&mut self, status: &watch::Sender<Status>) {
        let step = self.scheduler.next();
        let admitted = self.scheduler.take_events();
        self.deliver(admitted);
        self.notify_evictions(&step);
        let events = if step.is_empty() { Events::default() } else { self.run_step(&step) };
        // A client that has read the events of a step must not see an older status.
        publish(status, self.scheduler.status());
        self.deliver(events);
    }

    fn run_step(&mut self, step: &Step) -> Events {
        let from = self.epoch.elapsed();
        match self.compute(step) {
            Ok(outcome) => self.scheduler.commit(&outcome, Span { from, to: self.epoch.elapsed() }),
            Err(error) => self.scheduler.fail(step, &error, self.decoder.failure_spreads(step)),
        }
    }

    /// Computes a step, which a cancellation may abort if it serves that request alone.
    fn compute(&mut self, step: &Step) -> Result<super::Outcome, super::DecodeError> {
        let lone = self.scheduler.lone_request(step);
        self.abort.begin(lone);
        // A cancellation before this point could not be attributed to the step.
        if let Some(id) = lone
            && self.open.get(&id).is_some_and(|open| open.wishes.cancel())
        {
            self.abort.abort(id);
        }
        let result = self.decoder.step(step);
        self.abort.end();
        result
    }

    /// Announces what the next step overwrites; the decoder's sequences have not changed yet.
    fn notify_evictions(&mut self, step: &Step) {
        for eviction in self.scheduler.take_evictions() {
            let Some(callback) = &mut self.on_eviction else { return };
            let (needed, sequence, stays) = (eviction.needed(step), &eviction.sequence, eviction.stays);
            let decoder = RefCell::new(&mut self.decoder);
            let bytes = || decoder.borrow().saved_bytes(sequence.seq);
            let mut save = |length| save_beginning(&mut **decoder.borrow_mut(), sequence, length);
            callback(Evicted { sequence, stays, needed, bytes: &bytes, save: &mut save });
        }
    }

    fn deliver(&mut self, events: Events) {
        for (id, event) in events {
            let terminal = event.is_terminal();
            if let Some(open) = self.open.get(&id) {
                send(&open.events, event);
            }
            if terminal {
                self.open.remove(&id);
            }
        }
    }
}

/// Cuts a sequence, which is overwritten next, and copies it out.
pub(super) fn save_beginning(
    decoder: &mut impl Decoder,
    sequence: &IdleSequence,
    length: usize,
) -> Result<Saved, Error> {
    let IdleSequence { seq, tokens, .. } = sequence;
    let state = sequence.cut(length).ok_or(Error::NothingToSave)?;
    if length < tokens.len() {
        let rewind = SeqOp::Rewind { seq: *seq, length: u32::try_from(length).unwrap_or(u32::MAX), state };
        decoder.step(&Step { ops: vec![rewind], tokens: Vec::new() }).map_err(Error::Decode)?;
    }
    decoder.save(*seq, tokens[..length].to_vec()).map_err(Error::Decode)
}

/// Publishes a snapshot, unless nothing changed.
fn publish(sender: &watch::Sender<Status>, status: Status) {
    sender.send_if_modified(|old| {
        let changed = *old != status;
        *old = status;
        changed
    });
}

/// Sends an event; a client that is gone is noticed by the next sweep.
fn send(events: &UnboundedSender<Event>, event: Event) {
    drop(events.send(event));
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}
