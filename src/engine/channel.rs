//! The ways in and out of the engine's thread: one bounded queue of commands, one channel per request.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Instant;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::{Error, Event, Request, RequestId, Saved, Token};

/// Commands that may wait for the loop; it takes all of them between two steps.
const CAPACITY: usize = 256;

/// Everything that can make the loop do something.
#[derive(Debug)]
pub enum Command {
    /// A new request.
    Submit(Box<Submission>),
    /// End this request.
    Cancel(RequestId),
    /// End the thinking of this request and let it answer.
    EndReasoning(RequestId),
    /// Copy out the sequence that serves this prompt best.
    Save {
        /// The prompt.
        prompt: Vec<Token>,
        /// Where the copy goes.
        reply: SyncSender<Result<Saved, Error>>,
    },
    /// Put such a copy into a sequence that nobody uses.
    Restore {
        /// The copy.
        saved: Box<Saved>,
        /// Where it is told how that went.
        reply: SyncSender<Result<(), Error>>,
    },
    /// Fail what is open and return.
    Shutdown,
}

/// A request on its way in.
#[derive(Debug)]
pub struct Submission {
    /// Its name.
    pub id: RequestId,
    /// What is asked.
    pub request: Request,
    /// When it was submitted.
    pub arrived: Instant,
    /// Where its events go.
    pub events: UnboundedSender<Event>,
}

/// The loop's end of the queue.
#[derive(Debug)]
pub struct Inbox {
    pub(super) commands: Receiver<Command>,
    pub(super) hurry: Arc<AtomicBool>,
}

impl Inbox {
    /// Raised while a request wants to end at once: a decoder that sees it gives its step up.
    #[must_use]
    pub fn hurry(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.hurry)
    }
}

/// Makes the queue between front ends and [`run`](super::run).
#[must_use]
pub fn channel() -> (Submitter, Inbox) {
    let (commands, inbox) = sync_channel(CAPACITY);
    let hurry = Arc::new(AtomicBool::new(false));
    let submitter = Submitter { commands, ids: Arc::new(AtomicU64::new(0)), hurry: Arc::clone(&hurry) };
    (submitter, Inbox { commands: inbox, hurry })
}

/// Hands requests to the engine; clones share the queue.
#[derive(Debug, Clone)]
pub struct Submitter {
    commands: SyncSender<Command>,
    ids: Arc<AtomicU64>,
    hurry: Arc<AtomicBool>,
}

impl Submitter {
    /// Hands a request over, without waiting.
    ///
    /// # Errors
    ///
    /// When the queue is full or the engine is gone. Whatever else is wrong with the request is its
    /// terminal event.
    pub fn submit(&self, request: Request) -> Result<Reply, Error> {
        let id = RequestId(self.ids.fetch_add(1, Ordering::Relaxed));
        let (events, receiver) = unbounded_channel();
        let submission = Submission { id, request, arrived: Instant::now(), events };
        match self.commands.try_send(Command::Submit(Box::new(submission))) {
            Ok(()) => {
                let canceller =
                    Canceller { id, commands: self.commands.clone(), hurry: Arc::clone(&self.hurry) };
                Ok(Reply { receiver, over: false, canceller })
            }
            Err(TrySendError::Full(_)) => Err(Error::QueueFull { capacity: CAPACITY }),
            Err(TrySendError::Disconnected(_)) => Err(Error::Gone),
        }
    }

    /// Copies out what the cache holds of a prompt, as far as a later prompt that begins the same can go on from it.
    /// Waits; the sequence is cut to that length.
    ///
    /// # Errors
    ///
    /// When there is nothing of it, it cannot be copied, or the engine is gone.
    pub fn save(&self, prompt: Vec<Token>) -> Result<Saved, Error> {
        let (reply, answer) = sync_channel(1);
        self.commands.send(Command::Save { prompt, reply }).map_err(|_| Error::Gone)?;
        answer.recv().unwrap_or(Err(Error::Gone))
    }

    /// Puts a copy back, so that a prompt that begins with its tokens goes on from it. Waits.
    ///
    /// # Errors
    ///
    /// When it does not fit, is not of a decoder like this one, every slot is busy, or the engine is gone.
    pub fn restore(&self, saved: Saved) -> Result<(), Error> {
        let (reply, answer) = sync_channel(1);
        let command = Command::Restore { saved: Box::new(saved), reply };
        self.commands.send(command).map_err(|_| Error::Gone)?;
        answer.recv().unwrap_or(Err(Error::Gone))
    }

    /// Asks the loop to fail what is open and return; an engine that is gone already is fine.
    pub fn shutdown(&self) {
        self.hurry.store(true, Ordering::Relaxed);
        drop(self.commands.send(Command::Shutdown));
    }
}

/// Ends one request from anywhere, or its thinking.
#[derive(Debug, Clone)]
pub struct Canceller {
    id: RequestId,
    commands: SyncSender<Command>,
    hurry: Arc<AtomicBool>,
}

impl Canceller {
    /// Asks for the thinking to end and the answer to begin; without effect when it is over.
    pub fn end_reasoning(&self) {
        drop(self.commands.send(Command::EndReasoning(self.id)));
    }

    /// Asks for the request to end now; without effect when it is over.
    pub fn cancel(&self) {
        self.hurry.store(true, Ordering::Relaxed);
        // A full queue is being emptied by a loop that works, and an engine that is gone has ended the request.
        drop(self.commands.send(Command::Cancel(self.id)));
    }
}

/// The events of one request. Dropping it cancels the request at the next step.
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

    /// Something that can end this request while another thread waits for its events.
    #[must_use]
    pub fn canceller(&self) -> Canceller {
        self.canceller.clone()
    }

    /// A closed channel without a terminal event means that the engine died with the request in its queue.
    fn settle(&mut self, event: Option<Event>) -> Event {
        let event = event.unwrap_or(Event::Failed(Error::Gone));
        self.over = event.is_terminal();
        event
    }
}
