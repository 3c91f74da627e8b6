//! The threads of a state cache: one writes states, and copies sequences that nothing has used for a while; the other
//! notes answers.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::idle::IdleSlots;
use super::rates::RESTORED;
use super::shared::{NOTING, Shared};
use crate::engine::{IdleSequence, Namespace, Prompt, Saved, SlotState};
use crate::session::Answered;

/// Tokens that no file holds, for which a state is written.
pub(super) const UNSAVED: usize = 1024;
/// Copies that may wait to be written, each of up to some GiB.
const WAITING: usize = 2;

/// Work for the thread.
#[derive(Debug)]
pub(super) enum Job {
    /// Write a state.
    Write { namespace: Namespace, saved: Saved, permit: Permit },
    /// Save the sequences of all idle slots.
    Drain { until: Instant, done: SyncSender<usize> },
}

/// Allows one copy to wait.
#[derive(Debug)]
pub(super) struct Permit(Arc<AtomicUsize>);

impl Permit {
    /// A permit, if fewer than [`WAITING`] copies wait.
    pub(super) fn of(waiting: &Arc<AtomicUsize>) -> Option<Self> {
        let permit = |count: usize| (count < WAITING).then_some(count + 1);
        waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, permit).ok()?;
        Some(Self(Arc::clone(waiting)))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The thread that writes: works until every sender is dropped.
pub(super) fn work(shared: &Weak<Shared>, jobs: &Receiver<Job>, idle: Duration) {
    let epoch = Instant::now();
    let mut slots = IdleSlots::default();
    let tick = (idle / 12).clamp(Duration::from_millis(10), Duration::from_secs(5));
    let mut next_look = Instant::now() + tick;
    loop {
        let job = jobs.recv_timeout(next_look.saturating_duration_since(Instant::now()));
        let Some(shared) = shared.upgrade() else { return };
        match job {
            Ok(Job::Write { namespace, saved, permit }) => {
                shared.store(namespace, &saved);
                drop((saved, permit));
            }
            Ok(Job::Drain { until, done }) => {
                if done.send(shared.save_all(until)).is_err() {
                    tracing::debug!("nothing waits for the end of saving");
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        // However many jobs come in between.
        if Instant::now() >= next_look {
            shared.save_idle(&mut slots, epoch.elapsed(), idle);
            next_look = Instant::now() + tick;
        }
    }
}

/// The thread that notes answers: works until the last clone of the cache is dropped.
pub(super) fn note(shared: &Weak<Shared>, woken: &Receiver<()>) {
    while woken.recv().is_ok() {
        let Some(shared) = shared.upgrade() else { return };
        while let Some((ended, answered)) = shared.notes.next() {
            shared.answered(answered);
            shared.notes.has_noted(ended);
        }
    }
}

impl Shared {
    /// Notes how fast a prompt was read, and how the next one of its conversation is likely to begin.
    fn answered(&self, answered: Answered) {
        let Answered { conversation, namespace, prompt, usage, timings } = answered;
        self.rates().note_prefill(u64::from(usage.read_tokens()), timings.prefill);
        let tokens = usage.prompt_tokens.saturating_add(usage.completion_tokens) as usize;
        let Some(request) = conversation.filter(|_| tokens >= RESTORED) else { return };
        let Some(engine) = self.engine() else { return };
        match engine.session.next_prompt(&request) {
            Ok(next) => self.turns().note(Prompt { namespace, tokens: &prompt }, next),
            Err(error) => tracing::debug!(%error, "the next turn of a conversation cannot be foreseen"),
        }
    }

    /// Saves the sequences of slots that have been idle for long enough.
    fn save_idle(&self, idle: &mut IdleSlots, now: Duration, wait: Duration) {
        let Some(engine) = self.engine() else { return };
        let status = engine.submitter().status().borrow().clone();
        let due = idle.due(&status.slots, now, wait, UNSAVED);
        if due.is_empty() {
            return;
        }
        self.wait_for_notes(NOTING);
        let Ok(sequences) = engine.submitter().idle_sequences() else { return };
        let is_busy = status.slots.iter().any(|slot| slot.state != SlotState::Idle);
        let index_of = |sequence: &IdleSequence| sequence.seq.0 as usize;
        // A slot without a sequence that can be copied has nothing to save until it is used again.
        let is_gone = |due: &&usize| sequences.iter().all(|(sequence, _)| index_of(sequence) != **due);
        due.iter().filter(is_gone).for_each(|&index| idle.settle(index));
        for (sequence, bytes) in sequences {
            let index = index_of(&sequence);
            if !due.contains(&index) || (is_busy && !self.rates().is_short_copy(bytes)) {
                continue;
            }
            self.save(sequence, UNSAVED);
            idle.settle(index);
        }
    }

    /// Saves the sequences of all idle slots, the longest first, and returns how many states were written.
    fn save_all(&self, until: Instant) -> usize {
        let Some(engine) = self.engine() else { return 0 };
        self.wait_for_notes(NOTING.min(until.saturating_duration_since(Instant::now())));
        let Ok(mut sequences) = engine.submitter().idle_sequences() else { return 0 };
        sequences.sort_by_key(|(sequence, _)| std::cmp::Reverse(sequence.tokens.len()));
        let before = self.counters.get().states_saved;
        for (sequence, _) in sequences {
            if Instant::now() >= until {
                break;
            }
            self.save(sequence, RESTORED);
        }
        usize::try_from(self.counters.get().states_saved - before).unwrap_or(usize::MAX)
    }

    /// Copies out the part of a sequence that its next prompt is likely to share, and writes it.
    fn save(&self, sequence: IdleSequence, least: usize) {
        let Some(length) = self.length_to_save(&sequence, |most| sequence.longest(0, most), least) else {
            return;
        };
        let Some(engine) = self.engine() else { return };
        let namespace = sequence.namespace;
        match engine.submitter().save_idle(sequence, length) {
            Ok((saved, time)) => {
                self.rates().note_copy(saved.state().len() as u64, time);
                self.store(namespace, &saved);
            }
            Err(error) => tracing::debug!(%error, "cannot copy an idle sequence"),
        }
    }
}
