//! The channels in and out of the engine's thread: one bounded queue of commands, one channel of events per request.

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;

use super::canceller::Wishes;
use super::check::Checker;
use super::{
    Abort, Canceller, Decoder, Error, Event, IdleSequence, Namespace, OnEviction, Prepared, PreparedSampler,
    Prompt, Request, RequestId, SamplingParams, Saved, Status, Token, Vocab,
};

/// Commands that may wait for the loop, which takes all of them between two steps.
const CAPACITY: usize = 256;

/// A command to the loop.
#[derive(Debug)]
pub enum Command {
    /// Accept a request.
    Submit(Box<Submission>),
    /// Measure how much of a prompt is in the cache.
    CachedPrefix {
        /// The namespace of the prompt.
        namespace: Namespace,
        /// The prompt.
        prompt: Vec<Token>,
        /// Receives the number of tokens.
        reply: SyncSender<Result<usize, Error>>,
    },
    /// Copy out the idle sequence that holds most of this prompt.
    Save {
        /// The namespace of the prompt.
        namespace: Namespace,
        /// The prompt.
        prompt: Vec<Token>,
        /// Receives the copy.
        reply: SyncSender<Result<Saved, Error>>,
    },
    /// List the sequences of idle slots.
    IdleSequences {
        /// Receives them, each with the size of a copy.
        reply: SyncSender<Vec<(IdleSequence, u64)>>,
    },
    /// Copy out the beginning of an idle sequence.
    SaveIdle {
        /// The sequence.
        sequence: Box<IdleSequence>,
        /// The length of the beginning.
        length: usize,
        /// Receives the copy, and how long it stalled the loop.
        reply: SyncSender<Result<(Saved, Duration), Error>>,
    },
    /// Put a copy back into an idle slot.
    Restore {
        /// The namespace that may reuse it.
        namespace: Namespace,
        /// The copy.
        saved: Box<Saved>,
        /// Receives the result.
        reply: SyncSender<Result<(), Error>>,
    },
    /// Fail every open request and return.
    Shutdown,
}

/// A request on its way to the loop.
#[derive(Debug)]
pub struct Submission {
    /// Identifies it.
    pub id: RequestId,
    /// The request.
    pub request: Request,
    /// Its sampler.
    pub sampler: PreparedSampler,
    /// When it was submitted.
    pub arrived: Instant,
    /// Receives its events.
    pub events: UnboundedSender<Event>,
    pub(super) wishes: Arc<Wishes>,
}

/// The loop's end of the queue.
pub struct Inbox {
    pub(super) commands: Receiver<Command>,
    pub(super) abort: Abort,
    pub(super) status: watch::Sender<Status>,
    pub(super) on_eviction: Cell<Option<OnEviction>>,
}

impl Inbox {
    /// Sets a callback that runs on the engine's thread before a sequence is overwritten. Set it before
    /// [`run`](super::run).
    pub fn on_eviction(&self, callback: OnEviction) {
        self.on_eviction.set(Some(callback));
    }
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").field("abort", &self.abort).finish_non_exhaustive()
    }
}

/// Creates the queue between front ends and [`run`](super::run), for this decoder and vocabulary.
#[must_use]
pub fn channel(decoder: &impl Decoder, vocab: &impl Vocab) -> (Submitter, Inbox) {
    let (commands, inbox) = sync_channel(CAPACITY);
    let (status, watched) = watch::channel(Status::default());
    let (context, vocabulary) = (decoder.caps().context, vocab.size());
    let checker = Checker { context, vocabulary, prepare: decoder.prepare_sampler() };
    let abort = decoder.abort();
    let submitter =
        Submitter { commands, ids: Arc::default(), abort: abort.clone(), status: watched, checker };
    (submitter, Inbox { commands: inbox, abort, status, on_eviction: Cell::new(None) })
}

/// Hands requests to the engine; clones share the queue.
#[derive(Debug, Clone)]
pub struct Submitter {
    commands: SyncSender<Command>,
    ids: Arc<AtomicU64>,
    abort: Abort,
    status: watch::Receiver<Status>,
    checker: Checker,
}

impl Submitter {
    /// Tokens that a sequence can hold.
    #[must_use]
    pub fn context(&self) -> u32 {
        self.checker.context
    }

    /// Checks a request as [`submit`](Self::submit) does, without submitting it. Does not involve the engine's thread.
    ///
    /// # Errors
    ///
    /// When the prompt is empty, too long or has unknown tokens, or the sampling parameters, the grammar or the schema
    /// are invalid.
    pub fn check(&self, request: &Request) -> Result<(), Error> {
        self.checker.prepare(request).map(drop)
    }

    /// Checks a request, compiles its grammar, and makes its sampler, on this thread.
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check).
    pub fn prepare(&self, request: Request) -> Result<Prepared, Error> {
        Ok(Prepared { sampler: self.checker.prepare(&request)?, request })
    }

    /// Prepares a request and hands it over, without waiting for the engine.
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check), and when the queue is full or the engine has ended. If more requests wait than the
    /// engine's limits allow, that error is the request's terminal event.
    pub fn submit(&self, request: Request) -> Result<Reply, Error> {
        self.submit_prepared(self.prepare(request)?)
    }

    /// Hands over a request that this engine's submitter has prepared.
    ///
    /// # Errors
    ///
    /// When the queue is full or the engine has ended.
    pub fn submit_prepared(&self, prepared: Prepared) -> Result<Reply, Error> {
        let id = RequestId(self.ids.fetch_add(1, Ordering::Relaxed));
        let (events, receiver) = unbounded_channel();
        let canceller = Canceller::new(id, self.abort.clone());
        let Prepared { request, sampler } = prepared;
        let wishes = canceller.wishes();
        let submission = Submission { id, request, sampler, arrived: Instant::now(), events, wishes };
        self.try_send(Command::Submit(Box::new(submission)))?;
        Ok(Reply { receiver, over: false, canceller })
    }

    /// The engine's status; a new value is published after each step.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// Returns how many tokens of a prompt a request would find in the cache. Waits for the running step to end.
    ///
    /// # Errors
    ///
    /// When the queue is full or the engine has ended.
    pub fn cached_prefix(&self, prompt: Prompt<'_>) -> Result<usize, Error> {
        let (reply, answer) = sync_channel(1);
        let Prompt { namespace, tokens } = prompt;
        self.try_send(Command::CachedPrefix { namespace, prompt: tokens.to_vec(), reply })?;
        answer.recv().unwrap_or(Err(Error::Gone))
    }

    /// Copies out the part of a prompt that the cache holds and from which a later prompt with the same beginning can
    /// resume. Blocks; the sequence is cut to that length.
    ///
    /// # Errors
    ///
    /// When the cache holds nothing of it, it cannot be copied, or the engine has ended.
    pub fn save(&self, prompt: Prompt<'_>) -> Result<Saved, Error> {
        let (reply, answer) = sync_channel(1);
        let Prompt { namespace, tokens } = prompt;
        let command = Command::Save { namespace, prompt: tokens.to_vec(), reply };
        self.commands.send(command).map_err(|_| Error::Gone)?;
        answer.recv().unwrap_or(Err(Error::Gone))
    }

    /// The sequences of idle slots, each with the size of a copy of all of it. Waits for the running step to end.
    ///
    /// # Errors
    ///
    /// When the queue is full or the engine has ended.
    pub fn idle_sequences(&self) -> Result<Vec<(IdleSequence, u64)>, Error> {
        let (reply, answer) = sync_channel(1);
        self.try_send(Command::IdleSequences { reply })?;
        answer.recv().map_err(|_| Error::Gone)
    }

    /// Copies out the first `length` tokens of an idle sequence, which is one of [`IdleSequence::longest`]. Blocks; the
    /// sequence is cut to that length. The time is that of the copy, without the wait for the running step.
    ///
    /// # Errors
    ///
    /// When the slot no longer holds this sequence, it cannot be copied, or the engine has ended.
    pub fn save_idle(&self, sequence: IdleSequence, length: usize) -> Result<(Saved, Duration), Error> {
        let (reply, answer) = sync_channel(1);
        let command = Command::SaveIdle { sequence: Box::new(sequence), length, reply };
        self.commands.send(command).map_err(|_| Error::Gone)?;
        answer.recv().unwrap_or(Err(Error::Gone))
    }

    /// Puts a copy back, so that a prompt of this namespace that begins with its tokens resumes from it. Blocks.
    ///
    /// # Errors
    ///
    /// When it does not fit, is not of a decoder like this one, every slot is busy, or the engine has ended.
    pub fn restore(&self, namespace: Namespace, saved: Saved) -> Result<(), Error> {
        let (reply, answer) = sync_channel(1);
        let command = Command::Restore { namespace, saved: Box::new(saved), reply };
        self.commands.send(command).map_err(|_| Error::Gone)?;
        answer.recv().unwrap_or(Err(Error::Gone))
    }

    /// Aborts the running step, fails every open request and ends the loop; no effect once it has ended.
    pub fn shutdown(&self) {
        self.abort.raise();
        drop(self.commands.send(Command::Shutdown));
    }

    /// A submitter without an engine, which refuses every request as [`Error::Gone`]: for a front end that only renders
    /// and counts.
    #[must_use]
    pub fn disconnected() -> Self {
        let prepare = |_: &SamplingParams, _: &[Token]| Ok(PreparedSampler::new(()));
        Self {
            commands: sync_channel(1).0,
            ids: Arc::default(),
            abort: Abort::default(),
            status: watch::channel(Status::default()).1,
            checker: Checker { context: u32::MAX, vocabulary: u32::MAX, prepare: Arc::new(prepare) },
        }
    }

    fn try_send(&self, command: Command) -> Result<(), Error> {
        self.commands.try_send(command).map_err(|error| match error {
            TrySendError::Full(_) => Error::QueueFull { capacity: CAPACITY },
            TrySendError::Disconnected(_) => Error::Gone,
        })
    }
}

/// The events of one request. Dropping it cancels the request.
#[derive(Debug)]
pub struct Reply {
    receiver: UnboundedReceiver<Event>,
    over: bool,
    canceller: Canceller,
}

impl Reply {
    /// The next event, waiting on this thread; `None` after the terminal one.
    pub fn wait(&mut self) -> Option<Event> {
        if self.over {
            return None;
        }
        let event = self.receiver.blocking_recv();
        Some(self.settle(event))
    }

    /// The next event, as a future; `None` after the terminal one.
    pub async fn recv(&mut self) -> Option<Event> {
        if self.over {
            return None;
        }
        let event = self.receiver.recv().await;
        Some(self.settle(event))
    }

    /// A handle that ends this request while another thread waits for its events.
    #[must_use]
    pub fn canceller(&self) -> Canceller {
        self.canceller.clone()
    }

    /// A channel that closes without a terminal event means that the engine ended with the request in its queue.
    fn settle(&mut self, event: Option<Event>) -> Event {
        let event = event.unwrap_or(Event::Failed(Error::Gone));
        self.over = event.is_terminal();
        event
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if !self.over {
            self.canceller.cancel();
        }
    }
}
