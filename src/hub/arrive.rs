//! A checkpoint that is converted while it arrives: shards are fetched in the order in which they are needed, and deleted
//! when they have served if that was asked for.

mod supply;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use gguf_export::checkpoint::{Checkpoint, Identity, Shard};
use gguf_export::io::LateFile;
use gguf_export::supply::Needed;

pub use supply::Surveyed;
pub(super) use supply::failed;

use super::cache::Folder;
use super::{Error, Event, Hub, Listing, Observer, RemoteFile, RepoName, download, hash};

/// How often the wish for an end is looked at.
const POLL: Duration = Duration::from_millis(50);
/// Shards that are on the disk at once where each goes when it has served, unless something is made from more.
const AT_ONCE: usize = 2;

/// What becomes of a shard that has served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Afterwards {
    /// It stays in the cache.
    Keep,
    /// It goes, and no more than two are there at once.
    Delete,
}

/// What shards are read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Walk {
    /// Their values decide on types. With [`Afterwards::Delete`] those stay that the GGUF will take the room of.
    #[default]
    Survey,
    /// They become a GGUF.
    Export,
}

/// The shards of a checkpoint on their way.
pub struct Arriving<'a> {
    hub: &'a Hub,
    repo: &'a RepoName,
    listing: &'a Listing,
    shards: Vec<Coming<'a>>,
    afterwards: Afterwards,
    /// Shards that a survey need not let go of, counted from the first.
    staying: usize,
    stop: &'a AtomicBool,
    observer: Observer<'a>,
    state: Mutex<State>,
    changed: Condvar,
}

impl std::fmt::Debug for Arriving<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Arriving")
            .field("repo", self.repo)
            .field("afterwards", &self.afterwards)
            .finish_non_exhaustive()
    }
}

struct Coming<'a> {
    file: &'a RemoteFile,
    /// Its name in the snapshot.
    path: PathBuf,
}

#[derive(Default)]
struct State {
    walk: Walk,
    /// Those that are needed, in order.
    needed: Vec<Needed>,
    /// Where each shard is.
    at: Vec<At>,
    /// Those that somebody waits for.
    wanted: BTreeSet<usize>,
    failed: Option<Error>,
    over: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum At {
    #[default]
    Away,
    OnTheWay,
    Here,
    Done,
}

impl<'a> Arriving<'a> {
    /// Reads the headers of the shards, by ranges where they are not in the cache.
    ///
    /// # Errors
    ///
    /// When a header does not come.
    pub fn new(
        hub: &'a Hub,
        (repo, listing): (&'a RepoName, &'a Listing),
        shards: &[&'a RemoteFile],
        afterwards: Afterwards,
        stop: &'a AtomicBool,
        observer: Observer<'a>,
    ) -> Result<Self, Error> {
        let folder = hub.cache().repo(repo).snapshot(&listing.commit)?;
        let coming = |file: &&'a RemoteFile| Coming { file, path: folder.join(&file.name) };
        let shards: Vec<Coming<'a>> = shards.iter().map(coming).collect();
        let state = State { at: vec![At::Away; shards.len()], ..State::default() };
        let (state, changed) = (Mutex::new(state), Condvar::new());
        Ok(Self { hub, repo, listing, shards, afterwards, staying: 0, stop, observer, state, changed })
    }

    /// Lets a survey keep shards of `bytes` in all beside the two at work, so that the export after it need not fetch them
    /// again.
    pub fn keep_in_survey(&mut self, bytes: u64) {
        let ends = self.shards.iter().scan(0u64, |end, coming| {
            *end = end.saturating_add(coming.file.bytes);
            Some(*end)
        });
        self.staying = ends.take_while(|end| *end <= bytes).count();
    }

    /// The same shards for a survey.
    pub fn survey(&self) -> Surveyed<'_, 'a> {
        Surveyed(self)
    }

    /// The checkpoint by headers alone. `folder` holds its small files. `more` are shards from elsewhere.
    ///
    /// # Errors
    ///
    /// When a header does not come, or is none.
    pub fn checkpoint(&self, folder: &Path, more: Vec<Shard>) -> Result<Checkpoint, Failed> {
        let mut shards = Vec::new();
        for coming in &self.shards {
            shards.push(self.shard(coming)?);
        }
        shards.extend(more);
        Ok(Checkpoint::assemble(folder, shards)?)
    }

    fn shard(&self, coming: &Coming<'_>) -> Result<Shard, Error> {
        let Coming { file, path } = coming;
        let head = self.hub.read_head(self.repo, self.listing, file, self.stop, self.observer)?;
        Ok(Shard {
            path: path.clone(),
            head,
            bytes: file.bytes,
            identity: Identity::Content { sha256: self.sha256(coming)? },
            source: Arc::new(LateFile::new(path, file.bytes)),
            only: None,
        })
    }

    /// As listed; of a file that git keeps itself, which is small, by reading it.
    fn sha256(&self, coming: &Coming<'_>) -> Result<[u8; 32], Error> {
        if coming.file.hash.len() == 64 {
            return Ok(hash::bytes(&coming.file.hash));
        }
        let path = self.hub.fetch_one(self.repo, self.listing, coming.file, self.stop, self.observer)?;
        hash::sha256(&path, self.stop).map_err(Error::io("read", &path))?.ok_or(Error::Stopped)
    }

    /// The most bytes that shards will take on the disk of the cache beside what they take now.
    ///
    /// # Errors
    ///
    /// When the cache cannot be looked at.
    pub fn room(&self) -> Result<u64, Error> {
        let folder = self.hub.cache().repo(self.repo);
        let mut missing = Vec::new();
        for coming in &self.shards {
            if !download::is_there(&folder, coming.file)? {
                missing.push(coming.file.bytes - download::begun(&folder, coming.file)?);
            }
        }
        missing.sort_unstable_by_key(|bytes| std::cmp::Reverse(*bytes));
        let at_once = if self.afterwards == Afterwards::Delete { AT_ONCE } else { missing.len() };
        Ok(missing.iter().take(at_once).sum())
    }

    /// Fetches shards on `jobs` threads for as long as `work` is at it.
    pub fn while_at<T>(&self, jobs: usize, work: impl FnOnce() -> T) -> T {
        thread::scope(|scope| {
            for _ in 0..jobs.max(1) {
                scope.spawn(|| self.fetch());
            }
            let _end = End(self);
            work()
        })
    }

    /// Why a shard did not come, after an export that ended because of it.
    pub fn failure(&self) -> Option<Error> {
        self.lock().failed.take()
    }

    fn fetch(&self) {
        let mut state = self.lock();
        loop {
            if state.over || state.failed.is_some() || self.stop.load(Ordering::Relaxed) {
                return;
            }
            let Some(shard) = self.next(&state) else {
                state = self.changed.wait_timeout(state, POLL).unwrap_or_else(PoisonError::into_inner).0;
                continue;
            };
            state.at[shard] = At::OnTheWay;
            drop(state);
            let file = self.shards[shard].file;
            let fetched = self.bring(file);
            state = self.lock();
            match fetched {
                Ok(_) => state.at[shard] = At::Here,
                Err(error) => drop(state.failed.get_or_insert(error)),
            }
            self.changed.notify_all();
        }
    }

    /// Fetches a shard. One that lay in the cache is held against its hash, and fetched again if it has changed.
    fn bring(&self, file: &RemoteFile) -> Result<PathBuf, Error> {
        let fetch = || self.hub.fetch_one(self.repo, self.listing, file, self.stop, self.observer);
        let folder = self.hub.cache().repo(self.repo);
        let lay_there = download::is_there(&folder, file)?;
        let path = fetch()?;
        if !lay_there || hash::Hasher::like(&file.hash, file.bytes).is_none() {
            return Ok(path);
        }
        let found = hash::of_file(&path, &file.hash, self.stop, |_| {}).map_err(Error::io("read", &path))?;
        let found = found.ok_or(Error::Stopped)?;
        if found == file.hash {
            return Ok(path);
        }
        if self.hub.settings().offline {
            return Err(Error::Changed { path, found, expected: file.hash.clone() });
        }
        let blob = folder.blob(&file.hash)?;
        std::fs::remove_file(&blob).map_err(Error::io("remove", &blob))?;
        fetch()
    }

    /// The next to be fetched, if there is room for it.
    fn next(&self, state: &State) -> Option<usize> {
        let place = state.needed.iter().position(|needed| state.at.get(needed.shard) == Some(&At::Away))?;
        let (earlier, needed) = (&state.needed[..place], state.needed.get(place)?);
        let is_counted = |shard: &usize| match state.walk {
            Walk::Survey => *shard >= self.staying,
            // What a survey left may be needed only later.
            Walk::Export => earlier.iter().any(|needed| needed.shard == *shard),
        };
        let is_here = |shard: &usize| matches!(state.at[*shard], At::OnTheWay | At::Here);
        let here: Vec<usize> = (0..state.at.len()).filter(is_here).filter(is_counted).collect();
        let fits = self.afterwards == Afterwards::Keep
            || !is_counted(&needed.shard) && state.walk == Walk::Survey
            || here.len() < AT_ONCE
            || state.wanted.contains(&needed.shard) && here.iter().all(|shard| needed.with.contains(shard));
        fits.then_some(needed.shard)
    }

    fn begin(&self, walk: Walk, shards: &[Needed]) {
        let own: Vec<Needed> =
            shards.iter().filter(|needed| needed.shard < self.shards.len()).cloned().collect();
        let folder = self.hub.cache().repo(self.repo);
        let (mut files, mut bytes, mut begun) = (0, 0u64, 0u64);
        for file in own.iter().map(|needed| self.shards[needed.shard].file) {
            let present = present(&folder, file);
            (begun, bytes) = (begun + present, bytes + file.bytes - present);
            files += usize::from(present < file.bytes);
        }
        (self.observer)(Event::Planned { files, bytes, present: begun });
        if self.afterwards == Afterwards::Delete && walk == Walk::Export {
            for shard in 0..self.shards.len() {
                if !own.iter().any(|needed| needed.shard == shard) {
                    // An earlier run was cut off between the last tile and this. It can be done by hand, too.
                    drop(self.delete(shard));
                }
            }
        }
        let mut state = self.lock();
        // What a survey let go of comes again.
        for at in state.at.iter_mut().filter(|at| **at == At::Done) {
            *at = At::Away;
        }
        (state.walk, state.needed, state.wanted) = (walk, own, BTreeSet::new());
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn delete(&self, shard: usize) -> gguf_export::Result<()> {
        // Those from elsewhere are somebody else's.
        let Some(Coming { file, path }) = self.shards.get(shard) else { return Ok(()) };
        let folder = self.hub.cache().repo(self.repo);
        let gone = folder.forget(&self.listing.commit, &file.name, &file.hash, &AtomicBool::new(false));
        gone.map_err(|error| failed(path, Error::from(error)))
    }
}

/// Says that the work is over, also where it panics.
struct End<'b, 'a>(&'b Arriving<'a>);

impl Drop for End<'_, '_> {
    fn drop(&mut self) {
        self.0.lock().over = true;
        self.0.changed.notify_all();
    }
}

/// Bytes of a file that are in the cache. What cannot be looked at now is found out when it is fetched.
fn present(folder: &Folder, file: &RemoteFile) -> u64 {
    match download::is_there(folder, file) {
        Ok(true) => file.bytes,
        _ => download::begun(folder, file).unwrap_or(0),
    }
}

/// Why there is no checkpoint.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failed {
    /// Its headers do not come.
    #[error(transparent)]
    Hub(#[from] Error),
    /// They are wrong.
    #[error(transparent)]
    Checkpoint(#[from] gguf_export::Error),
}
