//! The state cache of one engine.

use std::path::Path;
use std::sync::atomic::AtomicUsize;
use std::sync::mpsc::{Sender, channel, sync_channel};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use super::counters::Counters;
use super::error::OpenError;
use super::notes::Notes;
use super::settings::Settings;
use super::shared::{FIRST_TURNS, NOTING, Shared};
use super::worker::{Job, Permit, UNSAVED, note, work};
use crate::engine::{Caps, Evicted, OnEviction, Prompt};
use crate::session::{Hooks, Session};

/// The states of one engine's sequences on disk. Clones share it; when the last one is dropped, its threads end.
#[derive(Debug, Clone)]
pub struct StateCache {
    shared: Arc<Shared>,
    jobs: Sender<Job>,
    waiting: Arc<AtomicUsize>,
}

impl StateCache {
    /// Opens a folder, and starts the thread that writes to it and the one that notes answers.
    ///
    /// # Errors
    ///
    /// When the folder cannot be created or read, or other users may use it.
    pub fn open(settings: Settings) -> Result<Self, OpenError> {
        let idle = settings.idle;
        let (notes, woken) = Notes::new(FIRST_TURNS);
        let shared = Arc::new(Shared::open(settings, notes)?);
        let (jobs, receiver) = channel();
        let [writes, notes] = [Arc::downgrade(&shared), Arc::downgrade(&shared)];
        let thread = |name: &str| thread::Builder::new().name(name.to_owned());
        thread("states").spawn(move || work(&writes, &receiver, idle)).map_err(OpenError::Thread)?;
        thread("state-notes").spawn(move || note(&notes, &woken)).map_err(OpenError::Thread)?;
        Ok(Self { shared, jobs, waiting: Arc::default() })
    }

    /// The callback with which the engine must be started, so that sequences are saved before they are overwritten.
    #[must_use]
    pub fn on_eviction(&self) -> OnEviction {
        let (shared, jobs) = (Arc::downgrade(&self.shared), self.jobs.clone());
        let waiting = Arc::clone(&self.waiting);
        Box::new(move |evicted| evict(&shared, &jobs, &waiting, evicted))
    }

    /// Connects the engine, whose sequences are saved and restored from now on.
    pub fn connect(&self, session: Session, caps: Caps) {
        self.shared.connect(session, caps);
    }

    /// The hooks of sessions of the connected engine: a state is restored before a request is submitted, and answers are
    /// noted, so that what is saved of a sequence is what its next prompt begins with.
    #[must_use]
    pub fn hooks(&self) -> Hooks {
        let (shared, ended) = (Arc::clone(&self.shared), Arc::clone(&self.shared));
        let before = move |prompt: Prompt<'_>| {
            // This prompt may overwrite the sequence of an answer that has just ended.
            shared.wait_for_notes(NOTING);
            if let Some(tokens) = shared.restore(prompt) {
                tracing::debug!(tokens, "restored a state");
            }
        };
        let after = move |answered| ended.notes.push(answered);
        Hooks { before: Arc::new(before), after: Arc::new(after) }
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.shared.settings.folder
    }

    /// Totals since it was opened.
    #[must_use]
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.shared.counters)
    }

    /// Saves the sequences of all idle slots. Call it when no request is open, before the engine ends. Returns how many
    /// states were written; `None` if that took longer than `most`.
    #[must_use]
    pub fn drain(&self, most: Duration) -> Option<usize> {
        let (done, result) = sync_channel(1);
        let until = Instant::now() + most;
        self.jobs.send(Job::Drain { until, done }).ok()?;
        result.recv_timeout(most).ok()
    }
}

#[cfg(test)]
impl StateCache {
    /// Waits until the threads have done all that they were given.
    pub(super) fn settle(&self) {
        assert!(self.shared.notes.wait(self.shared.notes.last(), Duration::from_mins(1)), "the thread runs");
        let (done, result) = sync_channel(1);
        // Nothing is saved after this moment.
        let job = Job::Drain { until: Instant::now(), done };
        self.jobs.send(job).expect("the thread runs");
        result.recv().expect("the thread runs");
    }
}

/// Copies a sequence out, on the engine's thread, if much of it is not on disk and the copy is short.
fn evict(shared: &Weak<Shared>, jobs: &Sender<Job>, waiting: &Arc<AtomicUsize>, evicted: Evicted<'_>) {
    let Some(shared) = shared.upgrade() else { return };
    let Some(length) = shared.length_to_save(evicted.sequence, |most| evicted.longest(most), UNSAVED) else {
        return;
    };
    if length <= evicted.stays || !shared.rates().is_short_copy(evicted.bytes()) {
        return;
    }
    let Some(permit) = Permit::of(waiting) else { return };
    let (namespace, begin) = (evicted.sequence.namespace, Instant::now());
    match evicted.save(length) {
        Ok(saved) => {
            shared.rates().note_copy(saved.state().len() as u64, begin.elapsed());
            // The thread ends with the last clone of the cache.
            drop(jobs.send(Job::Write { namespace, saved, permit }));
        }
        Err(error) => tracing::debug!(%error, "cannot copy a sequence that is overwritten"),
    }
}
