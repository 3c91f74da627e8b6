//! Answers that have ended and wait to be noted. Noting one takes a while: its conversation is rendered and tokenized.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::session::Answered;

/// A queue of answers, the oldest of which are dropped when there are too many.
#[derive(Debug)]
pub(super) struct Notes {
    queue: Mutex<Queue>,
    noted: Condvar,
    /// Wakes the thread, once for all answers that wait.
    wake: SyncSender<()>,
}

#[derive(Debug)]
struct Queue {
    waiting: VecDeque<(Ended, Answered)>,
    most: usize,
    ended: u64,
    noted: u64,
}

/// The number of an answer, in the order in which they ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ended(u64);

impl Notes {
    /// A queue of at most this many answers, and what its thread waits for: it ends when the queue is dropped.
    pub(super) fn new(most: usize) -> (Self, Receiver<()>) {
        let (wake, woken) = sync_channel(1);
        let queue = Queue { waiting: VecDeque::new(), most, ended: 0, noted: 0 };
        (Self { queue: Mutex::new(queue), noted: Condvar::new(), wake }, woken)
    }

    /// Changes how many answers may wait.
    pub(super) fn resize(&self, most: usize) {
        self.queue().most = most;
    }

    /// Adds an answer that has just ended.
    pub(super) fn push(&self, answered: Answered) {
        let ended = {
            let queue = &mut *self.queue();
            queue.ended += 1;
            queue.waiting.push_back((Ended(queue.ended), answered));
            let surplus = queue.waiting.len().saturating_sub(queue.most);
            queue.waiting.drain(..surplus);
            Ended(queue.ended)
        };
        // Without its thread, nothing is to wait for the answer.
        if let Err(TrySendError::Disconnected(())) = self.wake.try_send(()) {
            self.has_noted(ended);
        }
    }

    /// The answer that ended last.
    pub(super) fn last(&self) -> Ended {
        Ended(self.queue().ended)
    }

    /// The oldest answer that waits.
    pub(super) fn next(&self) -> Option<(Ended, Answered)> {
        self.queue().waiting.pop_front()
    }

    /// Records that an answer, and all that ended before it, are noted.
    pub(super) fn has_noted(&self, Ended(number): Ended) {
        self.queue().noted = number;
        self.noted.notify_all();
    }

    /// Waits until an answer, and all that ended before it, are noted. Returns whether they are.
    pub(super) fn wait(&self, Ended(number): Ended, most: Duration) -> bool {
        let waited = self.noted.wait_timeout_while(self.queue(), most, |queue| queue.noted < number);
        let (queue, _) = waited.unwrap_or_else(PoisonError::into_inner);
        queue.noted >= number
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Namespace, Timings, Token, Usage};

    const MOST: Duration = Duration::from_mins(1);

    fn answered(prompt: i32) -> Answered {
        let (namespace, prompt) = (Namespace::default(), vec![Token(prompt)].into());
        Answered {
            conversation: None,
            namespace,
            prompt,
            usage: Usage::default(),
            timings: Timings::default(),
        }
    }

    #[test]
    fn nothing_waits_for_answers_that_end_later() {
        let (notes, _woken) = Notes::new(9);
        assert!(notes.wait(notes.last(), Duration::ZERO));
        notes.push(answered(1));
        let ended = notes.last();
        assert!(!notes.wait(ended, Duration::ZERO));
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| notes.wait(ended, MOST));
            // This one is never noted.
            notes.push(answered(2));
            let (first, _) = notes.next().unwrap();
            notes.has_noted(first);
            assert!(waits.join().unwrap());
        });
        assert!(!notes.wait(notes.last(), Duration::ZERO));
    }

    #[test]
    fn nothing_waits_for_a_thread_that_has_ended() {
        let (notes, woken) = Notes::new(9);
        drop(woken);
        notes.push(answered(1));
        assert!(notes.wait(notes.last(), Duration::ZERO));
    }

    #[test]
    fn the_oldest_answers_are_dropped_and_count_as_noted_with_the_next() {
        let (notes, woken) = Notes::new(2);
        for prompt in 1..=4 {
            notes.push(answered(prompt));
        }
        assert_eq!(woken.try_iter().count(), 1, "one call is enough");
        let (third, answer) = notes.next().unwrap();
        assert_eq!(*answer.prompt, [Token(3)]);
        notes.has_noted(third);
        assert!(!notes.wait(notes.last(), Duration::ZERO));
        let (fourth, _) = notes.next().unwrap();
        notes.has_noted(fourth);
        assert!(notes.wait(notes.last(), Duration::ZERO) && notes.next().is_none());
        drop(notes);
        assert!(woken.recv().is_err());
    }
}
