//! A checkpoint that is converted while it downloads: shards are fetched in the order in which they are needed, and
//! deleted after use if requested.

pub(super) mod supply;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use gguf_export::checkpoint::{Identity, Shard};
use gguf_export::io::LateFile;
use gguf_export::supply::Needed;

use super::cache::Folder;
use super::{Error, Event, Hub, Listing, Observer, RemoteFile, RepoName, download, hash};

/// How often the stop flag is checked.
const POLL: Duration = Duration::from_millis(50);
/// Shards on the disk at once with [`Retention::Delete`], unless one tensor is made from more.
const AT_ONCE: usize = 2;

/// What to do with a shard after use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retention {
    /// Keep it in the cache.
    Keep,
    /// Delete it, and keep no more than two shards on the disk at once.
    Delete,
}

/// Why shards are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Pass {
    /// To choose types by the values. With [`Retention::Delete`], shards are kept up to the size of the GGUF.
    #[default]
    Survey,
    /// To write the GGUF.
    Export,
}

/// The shards of a remote checkpoint, which are fetched while they are used.
pub struct ShardStream<'a> {
    hub: &'a Hub,
    repo: &'a RepoName,
    listing: &'a Listing,
    shards: Vec<RemoteShard<'a>>,
    retention: Retention,
    /// The number of shards, counted from the first, that a survey keeps.
    kept: usize,
    stop: &'a AtomicBool,
    observer: Observer<'a>,
    state: Mutex<State>,
    changed: Condvar,
}

impl std::fmt::Debug for ShardStream<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ShardStream")
            .field("repo", self.repo)
            .field("retention", &self.retention)
            .finish_non_exhaustive()
    }
}

struct RemoteShard<'a> {
    file: &'a RemoteFile,
    /// Its path in the snapshot.
    path: PathBuf,
}

#[derive(Default)]
struct State {
    pass: Pass,
    /// The shards that are needed, in order.
    needed: Vec<Needed>,
    /// The status of each shard.
    status: Vec<Status>,
    /// The shards that a thread waits for.
    awaited: BTreeSet<usize>,
    failed: Option<Error>,
    over: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Status {
    #[default]
    Absent,
    Fetching,
    Present,
    Done,
}

impl<'a> ShardStream<'a> {
    /// A stream of these shards. Nothing is fetched yet.
    ///
    /// # Errors
    ///
    /// When the cache has something else in place of the snapshot's folder.
    pub fn new(
        hub: &'a Hub,
        (repo, listing): (&'a RepoName, &'a Listing),
        shards: &[&'a RemoteFile],
        retention: Retention,
        stop: &'a AtomicBool,
        observer: Observer<'a>,
    ) -> Result<Self, Error> {
        let folder = hub.cache().repo(repo).snapshot(&listing.commit)?;
        let remote = |file: &&'a RemoteFile| RemoteShard { file, path: folder.join(&file.name) };
        let shards: Vec<RemoteShard<'a>> = shards.iter().map(remote).collect();
        let state = State { status: vec![Status::Absent; shards.len()], ..State::default() };
        let (state, changed) = (Mutex::new(state), Condvar::new());
        Ok(Self { hub, repo, listing, shards, retention, kept: 0, stop, observer, state, changed })
    }

    /// Lets a survey keep shards of `bytes` in total, besides the two in use, so that the export after it need not fetch
    /// them again.
    pub fn keep_in_survey(&mut self, bytes: u64) {
        let ends = self.shards.iter().scan(0u64, |end, shard| {
            *end = end.saturating_add(shard.file.bytes);
            Some(*end)
        });
        self.kept = ends.take_while(|end| *end <= bytes).count();
    }

    /// Reads the headers of all shards, by range requests where a shard is not in the cache.
    ///
    /// # Errors
    ///
    /// When a header cannot be fetched.
    pub fn headers(&self) -> Result<Vec<Shard>, Error> {
        self.shards.iter().map(|shard| self.shard(shard)).collect()
    }

    fn shard(&self, shard: &RemoteShard<'_>) -> Result<Shard, Error> {
        let RemoteShard { file, path } = shard;
        let head = self.hub.read_head(self.repo, self.listing, file, self.stop, self.observer)?;
        Ok(Shard {
            path: path.clone(),
            head,
            bytes: file.bytes,
            identity: Identity::Content { sha256: self.sha256(shard)? },
            source: Arc::new(LateFile::new(path, file.bytes)),
            only: None,
        })
    }

    /// The listed SHA-256. A file without one is small and stored in git itself: it is fetched and hashed.
    fn sha256(&self, shard: &RemoteShard<'_>) -> Result<[u8; 32], Error> {
        if shard.file.hash.len() == 64 {
            return Ok(hash::bytes(&shard.file.hash));
        }
        let path = self.hub.fetch_one(self.repo, self.listing, shard.file, self.stop, self.observer)?;
        hash::sha256(&path, self.stop).map_err(Error::io("read", &path))?.ok_or(Error::Stopped)
    }

    /// The largest number of bytes that the needed shards will take on the cache's disk, besides those that they take now.
    ///
    /// # Errors
    ///
    /// When the cache cannot be examined.
    pub fn peak_bytes(&self, is_needed: impl Fn(usize) -> bool) -> Result<u64, Error> {
        let bytes = |shard: &RemoteShard<'_>| self.hub.missing_bytes(self.repo, self.listing, shard.file);
        let needed = self.shards.iter().enumerate().filter(|(number, _)| is_needed(*number));
        let mut missing = needed.map(|(_, shard)| bytes(shard)).collect::<Result<Vec<u64>, Error>>()?;
        missing.sort_unstable_by_key(|bytes| std::cmp::Reverse(*bytes));
        let at_once = if self.retention == Retention::Delete { AT_ONCE } else { missing.len() };
        Ok(missing.iter().take(at_once).sum())
    }

    /// An existing folder on the disk to which the shards go.
    #[must_use]
    pub fn disk(&self) -> PathBuf {
        self.hub.disk(self.repo)
    }

    /// Fetches shards on `jobs` threads while `work` runs.
    pub fn fetch_while<T>(&self, jobs: usize, work: impl FnOnce() -> T) -> T {
        thread::scope(|scope| {
            for _ in 0..jobs.max(1) {
                scope.spawn(|| self.fetch());
            }
            let _end = End(self);
            work()
        })
    }

    /// Takes the error of the first shard that could not be fetched, after work that failed because of it.
    pub fn take_error(&self) -> Option<Error> {
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
            state.status[shard] = Status::Fetching;
            drop(state);
            let file = self.shards[shard].file;
            let fetched = self.fetch_checked(file);
            state = self.lock();
            match fetched {
                Ok(_) => state.status[shard] = Status::Present,
                Err(error) => drop(state.failed.get_or_insert(error)),
            }
            self.changed.notify_all();
        }
    }

    /// Fetches a shard. One that was in the cache before is hashed, and fetched again if it has changed.
    fn fetch_checked(&self, file: &RemoteFile) -> Result<PathBuf, Error> {
        let fetch = || self.hub.fetch_one(self.repo, self.listing, file, self.stop, self.observer);
        let folder = self.hub.cache().repo(self.repo);
        let was_cached = download::complete(&folder, &self.listing.commit, file)?.is_some();
        let path = fetch()?;
        if !was_cached || hash::Hasher::like(&file.hash, file.bytes).is_none() {
            return Ok(path);
        }
        let found = self.hash(&path, file)?;
        if found == file.hash {
            return Ok(path);
        }
        if self.listing.only_cached.is_some() {
            return Err(Error::Changed { path, found, expected: file.hash.clone() });
        }
        let remove = |path: &Path| std::fs::remove_file(path).map_err(Error::io("remove", path));
        remove(&std::fs::canonicalize(&path).map_err(Error::io("resolve", &path))?)?;
        // Where links cannot be made, the blob is another name of the same bytes, a copy, or missing.
        let blob = folder.blob(&file.hash)?;
        if blob.is_file() && self.hash(&blob, file)? != file.hash {
            remove(&blob)?;
        }
        fetch()
    }

    fn hash(&self, path: &Path, file: &RemoteFile) -> Result<String, Error> {
        let found = hash::of_file(path, &file.hash, self.stop, |_| {}).map_err(Error::io("read", path))?;
        found.ok_or(Error::Stopped)
    }

    /// The next shard to fetch, if there is room for it.
    fn next(&self, state: &State) -> Option<usize> {
        let place =
            state.needed.iter().position(|needed| state.status.get(needed.shard) == Some(&Status::Absent))?;
        let (earlier, needed) = (&state.needed[..place], state.needed.get(place)?);
        let is_counted = |shard: &usize| match state.pass {
            Pass::Survey => *shard >= self.kept,
            // A shard that a survey kept may be needed only later.
            Pass::Export => earlier.iter().any(|needed| needed.shard == *shard),
        };
        let is_on_disk = |shard: &usize| matches!(state.status[*shard], Status::Fetching | Status::Present);
        let on_disk: Vec<usize> = (0..state.status.len()).filter(is_on_disk).filter(is_counted).collect();
        let fits = self.retention == Retention::Keep
            || !is_counted(&needed.shard) && state.pass == Pass::Survey
            || on_disk.len() < AT_ONCE
            || state.awaited.contains(&needed.shard)
                && on_disk.iter().all(|shard| needed.with.contains(shard));
        fits.then_some(needed.shard)
    }

    fn begin(&self, pass: Pass, shards: &[Needed]) {
        let own: Vec<Needed> =
            shards.iter().filter(|needed| needed.shard < self.shards.len()).cloned().collect();
        let folder = self.hub.cache().repo(self.repo);
        let (mut files, mut missing, mut present) = (0, 0u64, 0u64);
        for file in own.iter().map(|needed| self.shards[needed.shard].file) {
            let cached = cached_bytes(&folder, &self.listing.commit, file);
            (present, missing) = (present + cached, missing + file.bytes - cached);
            files += usize::from(cached < file.bytes);
        }
        (self.observer)(Event::Planned { files, bytes: missing, present });
        if self.retention == Retention::Delete && pass == Pass::Export {
            for shard in 0..self.shards.len() {
                if !own.iter().any(|needed| needed.shard == shard) {
                    // An earlier run was interrupted after the shard's last tile, or a user deleted the shard.
                    drop(self.delete(shard));
                }
            }
        }
        let mut state = self.lock();
        // Shards that a survey deleted are fetched again.
        for status in state.status.iter_mut().filter(|status| **status == Status::Done) {
            *status = Status::Absent;
        }
        (state.pass, state.needed, state.awaited) = (pass, own, BTreeSet::new());
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn delete(&self, shard: usize) -> gguf_export::Result<()> {
        // Shards from other places are not ours to delete.
        let Some(RemoteShard { file, path }) = self.shards.get(shard) else { return Ok(()) };
        let folder = self.hub.cache().repo(self.repo);
        let deleted = folder.forget(&self.listing.commit, &file.name, &file.hash, &AtomicBool::new(false));
        deleted.map_err(|error| Error::from(error).supply(path))
    }
}

/// Ends the fetching threads when the work is over, even by a panic.
struct End<'b, 'a>(&'b ShardStream<'a>);

impl Drop for End<'_, '_> {
    fn drop(&mut self) {
        self.0.lock().over = true;
        self.0.changed.notify_all();
    }
}

/// The bytes of a file that are in the cache; 0 if that cannot be examined, which fails when the file is fetched.
fn cached_bytes(folder: &Folder, commit: &str, file: &RemoteFile) -> u64 {
    download::cached_bytes(folder, commit, file).unwrap_or(0)
}
