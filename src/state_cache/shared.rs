//! The parts of a state cache that its threads share: files and their index, measured rates, the engine.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use super::blocks::Prefixes;
use super::counters::Counters;
use super::error::OpenError;
use super::folder::Folder;
use super::index::{Entry, Found, Index};
use super::name::{file_name, identity_of};
use super::notes::Notes;
use super::rates::{RESTORED, Rates};
use super::room::{NoRoom, Stored, make_way, total};
use super::settings::Settings;
use super::turns::Turns;
use crate::engine::{self, Caps, IdleSequence, Namespace, Prompt, Saved, SlotState, Submitter};
use crate::session::Session;
use crate::state::{self, Broken, Identity, Refused};

/// Turns that are remembered for each slot.
const TURNS: usize = 4;
/// The longest wait for answers to be noted.
pub(super) const NOTING: Duration = Duration::from_millis(200);
/// Turns that are remembered before the number of slots is known.
pub(super) const FIRST_TURNS: usize = 16;

/// What the threads share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) counters: Arc<Counters>,
    folder: Folder,
    files: Mutex<Files>,
    rates: Mutex<Rates>,
    turns: Mutex<Turns>,
    pub(super) notes: Notes,
    engine: Mutex<Option<Engine>>,
    /// Whether a lack of room was reported.
    warned: AtomicBool,
    /// Held while a state is read: the memory for one at a time, and the second request for a state finds it restored.
    restoring: Mutex<()>,
}

/// The engine whose sequences are saved and restored.
#[derive(Debug, Clone)]
pub(super) struct Engine {
    pub(super) session: Session,
    pub(super) caps: Caps,
}

impl Engine {
    pub(super) fn submitter(&self) -> &Submitter {
        self.session.submitter()
    }
}

/// What is known of the files.
#[derive(Debug, Default)]
struct Files {
    index: Index,
    /// Files that are of no use here.
    ignored: BTreeSet<String>,
    /// The change of the folder that the index includes.
    changed: Option<SystemTime>,
}

impl Shared {
    pub(super) fn open(settings: Settings, notes: Notes) -> Result<Self, OpenError> {
        let folder = Folder::open(&settings.folder)?;
        Ok(Self {
            settings,
            folder,
            counters: Arc::default(),
            files: Mutex::default(),
            rates: Mutex::default(),
            turns: Mutex::new(Turns::new(FIRST_TURNS)),
            notes,
            engine: Mutex::default(),
            warned: AtomicBool::default(),
            restoring: Mutex::default(),
        })
    }

    pub(super) fn connect(&self, session: Session, caps: Caps) {
        let turns = TURNS * caps.sequences as usize;
        *lock(&self.turns) = Turns::new(turns);
        // More are of no use: an answer is noted as a turn.
        self.notes.resize(turns);
        *lock(&self.engine) = Some(Engine { session, caps });
        self.refresh();
    }

    pub(super) fn engine(&self) -> Option<Engine> {
        lock(&self.engine).clone()
    }

    pub(super) fn rates(&self) -> MutexGuard<'_, Rates> {
        lock(&self.rates)
    }

    pub(super) fn turns(&self) -> MutexGuard<'_, Turns> {
        lock(&self.turns)
    }

    /// Waits until the answers that have ended by now are noted.
    pub(super) fn wait_for_notes(&self, most: Duration) {
        if !self.notes.wait(self.notes.last(), most) {
            tracing::debug!("answers are not noted yet");
        }
    }

    /// How much of an idle sequence to save; `None` if files hold all but less than `least` tokens of it. Reads no file.
    pub(super) fn length_to_save(
        &self,
        sequence: &IdleSequence,
        longest: impl Fn(usize) -> usize,
        least: usize,
    ) -> Option<usize> {
        let IdleSequence { namespace, tokens, .. } = sequence;
        if tokens.len() < least {
            return None;
        }
        let prefixes = Prefixes::of(tokens);
        let length = longest(self.turns().shared(*namespace, &prefixes));
        let can_trim = self.engine()?.caps.can_trim;
        let identity = self.identity(*namespace);
        let held = lock(&self.files).index.held(&identity, &prefixes.beginning(length), can_trim);
        (length >= held.saturating_add(least)).then_some(length)
    }

    /// Writes a state, unless a file holds all of it or there is no room.
    pub(super) fn store(&self, namespace: Namespace, saved: &Saved) {
        match self.try_store(namespace, saved) {
            Ok(()) => {}
            Err(error) => {
                let folder = self.folder.path().display();
                tracing::warn!(%error, "cannot save a state in `{folder}`");
            }
        }
    }

    fn try_store(&self, namespace: Namespace, saved: &Saved) -> std::io::Result<()> {
        let Some(engine) = self.engine() else { return Ok(()) };
        let _locked = self.folder.lock()?;
        let changed = self.folder.changed();
        let mut files = self.folder.list()?;
        self.index(&files, changed, engine.caps.context);
        let (identity, prefixes) = (self.identity(namespace), Prefixes::of(saved.tokens()));
        if lock(&self.files).index.held(&identity, &prefixes, engine.caps.can_trim) == prefixes.length() {
            return Ok(());
        }
        let (blocks, bytes) = (prefixes.blocks(prefixes.length()), state::file_bytes(saved));
        let name = file_name(&identity, &blocks);
        let replaced = lock(&self.files).index.replaced(&identity, &prefixes);
        let room = self.folder.room(self.settings.budget, self.settings.reserve)?;
        let removed = match make_way(&files, &replaced, bytes, room) {
            Ok(removed) => removed,
            Err(no_room) => {
                self.has_no_room(&no_room);
                return Ok(());
            }
        };
        for name in &removed {
            self.remove(name)?;
        }
        self.folder.write(&name, &identity, saved)?;
        for name in replaced.iter().filter(|name| !removed.contains(name)) {
            self.remove(name)?;
        }
        files.retain(|file| {
            file.name != name && !removed.contains(&file.name) && !replaced.contains(&file.name)
        });
        lock(&self.files).index.insert(name, Entry { identity, blocks, bytes });
        self.counters.saved.fetch_add(1, Ordering::Relaxed);
        self.counters.bytes.store(total(&files).saturating_add(bytes), Ordering::Relaxed);
        Ok(())
    }

    /// Reports that a state has no room, the first time as a warning.
    fn has_no_room(&self, no_room: &NoRoom) {
        let folder = self.folder.path().display();
        if self.warned.swap(true, Ordering::Relaxed) {
            tracing::debug!(%no_room, "no room for a state in `{folder}`");
        } else {
            tracing::warn!("no room for a state in `{folder}`: {no_room}");
        }
    }

    /// Restores the state that holds most of a prompt, if that is faster than reading the prompt.
    pub(super) fn restore(&self, prompt: Prompt<'_>) -> Option<usize> {
        let engine = self.engine().filter(|_| prompt.tokens.len() > RESTORED)?;
        let prefixes = Prefixes::of(prompt.tokens);
        self.refresh();
        self.find(&engine, prompt, &prefixes)?;
        let _one = lock(&self.restoring);
        loop {
            let found = self.find(&engine, prompt, &prefixes)?;
            match self.restore_found(&engine, prompt, &prefixes, &found) {
                Ok(restored) => return restored,
                // It is no longer in the index.
                Err(error) => tracing::debug!(%error, file = %found.name, "cannot use a state"),
            }
        }
    }

    /// A file that is worth restoring, if a slot is idle.
    fn find(&self, engine: &Engine, prompt: Prompt<'_>, prefixes: &Prefixes<'_>) -> Option<Found> {
        let identity = self.identity(prompt.namespace);
        let found = lock(&self.files).index.best(&identity, prefixes, engine.caps.can_trim)?;
        if found.tokens < RESTORED {
            return None;
        }
        let is_busy = |slot: &engine::SlotStatus| slot.state != SlotState::Idle;
        // Before the engine has published its status, there are no slots.
        let all_busy = |slots: &[engine::SlotStatus]| !slots.is_empty() && slots.iter().all(is_busy);
        if all_busy(&engine.submitter().status().borrow().slots) {
            return None;
        }
        // Waits for the running step.
        let cached = engine.submitter().cached_prefix(prompt).ok()?;
        self.rates().is_worth_restoring(found.tokens, cached, found.bytes).then_some(found)
    }

    /// Reads, verifies and restores a file. After an error it is no longer in the index.
    fn restore_found(
        &self,
        engine: &Engine,
        prompt: Prompt<'_>,
        prefixes: &Prefixes<'_>,
        found: &Found,
    ) -> Result<Option<usize>, Refused> {
        let begin = Instant::now();
        let read = self.folder.read(&found.name, &self.identity(prompt.namespace));
        let saved = read.inspect_err(|error| self.refuse(&found.name, error))?;
        self.rates().note_read(found.bytes, begin.elapsed());
        let common = prefixes.common(saved.tokens());
        if common < found.tokens {
            self.ignore(&found.name);
            return Err(Refused::Damaged);
        }
        match engine.submitter().restore(prompt.namespace, saved) {
            Ok(()) => {
                self.counters.restored.fetch_add(1, Ordering::Relaxed);
                if let Err(error) = self.folder.touch(&found.name) {
                    tracing::debug!(%error, file = %found.name, "cannot mark a state as used");
                }
                Ok(Some(found.tokens))
            }
            Err(error) => {
                if matches!(error, engine::Error::Decode(_)) {
                    self.ignore(&found.name);
                }
                tracing::debug!(%error, "the engine does not take a state");
                Ok(None)
            }
        }
    }

    /// Drops a file from the index, and removes it if it is damaged.
    fn refuse(&self, name: &str, error: &Refused) {
        lock(&self.files).index.remove(name);
        match error {
            Refused::Damaged | Refused::Broken(Broken::Length { .. }) => {
                self.counters.refused.fetch_add(1, Ordering::Relaxed);
                tracing::warn!("removed a damaged state: `{}`", self.folder.path().join(name).display());
                if self.remove(name).is_err() {
                    self.ignore(name);
                }
            }
            Refused::Read(error) if error.kind() == ErrorKind::NotFound => {}
            _ => self.ignore(name),
        }
    }

    /// Reads what new files are about, and forgets those that are gone.
    fn refresh(&self) {
        let Some(context) = self.engine().map(|engine| engine.caps.context) else { return };
        let changed = self.folder.changed();
        {
            let files = lock(&self.files);
            if changed.is_some() && files.changed == changed {
                return;
            }
        }
        if let Ok(stored) = self.folder.list() {
            self.index(&stored, changed, context);
        }
    }

    /// Makes the index that of these files, which the folder had after this change.
    fn index(&self, stored: &[Stored], changed: Option<SystemTime>, context: u32) {
        self.counters.bytes.store(total(stored), Ordering::Relaxed);
        let unknown: Vec<String> = {
            let mut files = lock(&self.files);
            let names: BTreeSet<&str> = stored.iter().map(|file| file.name.as_str()).collect();
            files.index.retain(|name| names.contains(name));
            files.ignored.retain(|name| names.contains(name.as_str()));
            files.changed = changed;
            let is_unknown = |name: &&&str| !files.index.has(name) && !files.ignored.contains(**name);
            names.iter().filter(is_unknown).map(|&name| name.to_owned()).collect()
        };
        // Files are read without the lock, for which the engine's thread may wait.
        for name in unknown {
            match self.folder.entry(&name, &self.settings.identity, context) {
                Ok(Some(entry)) => lock(&self.files).index.insert(name, entry),
                Ok(None) => self.ignore(&name),
                Err(error) => self.refuse(&name, &error),
            }
        }
    }

    fn remove(&self, name: &str) -> std::io::Result<()> {
        lock(&self.files).index.remove(name);
        self.folder.remove(name)
    }

    fn ignore(&self, name: &str) {
        let mut files = lock(&self.files);
        files.index.remove(name);
        files.ignored.insert(name.to_owned());
    }

    fn identity(&self, namespace: Namespace) -> Identity {
        identity_of(&self.settings.identity, namespace)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
