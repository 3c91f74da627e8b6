//! What one asks the hub for: a listing, files, a part of a file.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use gguf_export::checkpoint::head_bytes;
use reqwest::StatusCode;

use super::cache::{Cache, Folder};
use super::client::{Client, Fault};
use super::download::{self, Target};
use super::tries::Tries;
use super::{Error, Event, Listing, Observer, Origin, RemoteFile, RepoName, Settings, select, snapshot};

/// The longest listing, and the longest range, that is taken into memory.
const MOST_BYTES: usize = 256 << 20;
/// How often those that fetch are told that somebody wants an end.
const POLL: Duration = Duration::from_millis(50);

/// The hub, and the cache that its files go to.
#[derive(Debug)]
pub struct Hub {
    client: Client,
    cache: Cache,
}

impl Hub {
    /// Asks nothing yet.
    ///
    /// # Errors
    ///
    /// When this system cannot connect to anything.
    pub fn new(settings: Settings) -> Result<Self, Error> {
        let cache = Cache::at(&settings.cache);
        Ok(Self { client: Client::new(settings)?, cache })
    }

    /// The cache.
    #[must_use]
    pub fn cache(&self) -> &Cache {
        &self.cache
    }

    /// How this machine is set up for the hub.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        self.client.settings()
    }

    /// What a repository holds; offline, what the cache has of it.
    ///
    /// # Errors
    ///
    /// When the hub does not tell.
    pub fn listing(
        &self,
        repo: &RepoName,
        stop: &AtomicBool,
        observer: Observer<'_>,
    ) -> Result<Listing, Error> {
        if self.settings().offline {
            return snapshot::listing(&self.cache.repo(repo), repo);
        }
        let what = repo.to_string();
        let ask = async || {
            let answer = self.client.get(&what, self.client.listing_url(repo), None, stop).await?;
            self.client.all(&what, answer, MOST_BYTES, stop).await
        };
        let answer = self.client.wait(Tries::new(&what).until(ask, stop, observer));
        Listing::parse(repo, &answer.map_err(|error| self.explain(error, repo))?)
    }

    /// Fetches files, `jobs` at once, and gives the folder in which they have their own names. What is in the cache is
    /// not fetched again; what was interrupted goes on.
    ///
    /// # Errors
    ///
    /// The first that a file ended with.
    pub fn fetch(
        &self,
        repo: &RepoName,
        listing: &Listing,
        files: &[&RemoteFile],
        jobs: usize,
        stop: &AtomicBool,
        observer: Observer<'_>,
    ) -> Result<PathBuf, Error> {
        let folder = self.cache.repo(repo);
        let snapshot = folder.snapshot(&listing.commit)?;
        if self.settings().offline {
            let lacking = files.iter().find(|file| folder.find(&listing.commit, &file.name).is_none());
            return match lacking {
                Some(file) => Err(Error::Offline { what: format!("{}/{}", repo.id(), file.name) }),
                None => Ok(snapshot),
            };
        }
        self.plan(&folder, files, observer)?;
        let (next, halt, first) = (AtomicUsize::new(0), AtomicBool::new(false), Mutex::new(None));
        let work = || {
            while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                if halt.load(Ordering::Relaxed) {
                    break;
                }
                if let Err(error) = self.fetch_one(repo, listing, file, &halt, observer) {
                    let mut first = first.lock().unwrap_or_else(PoisonError::into_inner);
                    // Those that end because of the first have nothing to say.
                    if !error.is_stopped() || stop.load(Ordering::Relaxed) {
                        first.get_or_insert(error);
                    }
                    halt.store(true, Ordering::Relaxed);
                }
            }
        };
        thread::scope(|scope| {
            let workers: Vec<_> = (0..jobs.clamp(1, files.len().max(1))).map(|_| scope.spawn(work)).collect();
            while !workers.iter().all(thread::ScopedJoinHandle::is_finished) {
                if stop.load(Ordering::Relaxed) {
                    halt.store(true, Ordering::Relaxed);
                }
                thread::sleep(POLL);
            }
        });
        if let Some(error) = first.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(self.explain(error, repo));
        }
        if stop.load(Ordering::Relaxed) {
            return Err(Error::Stopped);
        }
        folder.set_ref(repo.revision(), &listing.commit)?;
        Ok(snapshot)
    }

    /// Fetches one file and gives its place. Several threads may at once; the revision is not noted.
    ///
    /// # Errors
    ///
    /// When it does not come whole, or cannot be kept.
    pub fn fetch_one(
        &self,
        repo: &RepoName,
        listing: &Listing,
        file: &RemoteFile,
        stop: &AtomicBool,
        observer: Observer<'_>,
    ) -> Result<PathBuf, Error> {
        let folder = &self.cache.repo(repo);
        if self.settings().offline {
            let found = folder.find(&listing.commit, &file.name);
            return found.ok_or_else(|| Error::Offline { what: format!("{}/{}", repo.id(), file.name) });
        }
        let target = Target { repo, commit: &listing.commit, folder, file };
        download::fetch(&self.client, &target, stop, observer)
    }

    /// Reads a part of a file, from the cache if it is there. What comes from the hub has no hash of its own.
    ///
    /// # Errors
    ///
    /// When the range is not inside of the file, or does not come.
    pub fn read_range(
        &self,
        repo: &RepoName,
        listing: &Listing,
        file: &RemoteFile,
        range: Range<u64>,
        stop: &AtomicBool,
        observer: Observer<'_>,
    ) -> Result<Vec<u8>, Error> {
        let what = format!("{}/{}", repo.id(), file.name);
        let length = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX);
        if range.end > file.bytes || length > MOST_BYTES {
            let reason =
                format!("{} bytes, of which {} to {} were wanted", file.bytes, range.start, range.end);
            return Err(Error::Answer { what, reason });
        }
        if length == 0 {
            return Ok(Vec::new());
        }
        let folder = self.cache.repo(repo);
        if let Some(path) = folder.find(&listing.commit, &file.name) {
            return snapshot::read(&path, range);
        }
        if self.settings().offline {
            return Err(Error::Offline { what });
        }
        let url = || self.client.file_url(repo, &listing.commit, &file.name);
        let ask = async || -> Result<Vec<u8>, Fault> {
            let last = Some(range.end - 1);
            let answer = self.client.get(&what, url(), Some((range.start, last)), stop).await?;
            let whole = range == (0..file.bytes);
            if answer.status() != StatusCode::PARTIAL_CONTENT && !whole {
                let reason = format!("no part of the file ({})", answer.status());
                return Err(Error::Answer { what: what.clone(), reason }.into());
            }
            if answer.status() == StatusCode::PARTIAL_CONTENT {
                // Nothing but this tells which part came: it has no hash of its own.
                download::check_part(&what, &answer, range.start, file.bytes)?;
            }
            let bytes = self.client.all(&what, answer, length, stop).await?;
            if bytes.len() < length {
                let reason = format!("the line ended after {} of {length} bytes", bytes.len());
                return Err(Fault::Passing { reason, pause: None });
            }
            Ok(bytes)
        };
        self.client.wait(Tries::new(&what).until(ask, stop, observer))
    }

    /// Reads the beginning of a safetensors file, to the end of its header.
    ///
    /// # Errors
    ///
    /// When it does not come.
    pub(super) fn read_head(
        &self,
        repo: &RepoName,
        listing: &Listing,
        file: &RemoteFile,
        stop: &AtomicBool,
        observer: Observer<'_>,
    ) -> Result<Vec<u8>, Error> {
        let read = |range| self.read_range(repo, listing, file, range, stop, observer);
        let first = read(0..file.bytes.min(8))?;
        match first.first_chunk() {
            Some(first) => read(0..head_bytes(*first).min(file.bytes)),
            None => Ok(first),
        }
    }

    /// The files that a conversion needs: configuration, tokenizer, card, and the shards that the index names.
    ///
    /// # Errors
    ///
    /// When the index does not come, or names what is not there.
    pub fn checkpoint_files<'l>(
        &self,
        repo: &RepoName,
        listing: &'l Listing,
        stop: &AtomicBool,
        observer: Observer<'_>,
    ) -> Result<Vec<&'l RemoteFile>, Error> {
        let index = match listing.find(select::INDEX) {
            None => None,
            Some(file) => {
                let path = self.fetch_one(repo, listing, file, stop, observer);
                Some(path.map_err(|error| self.explain(error, repo))?)
            }
        };
        select::checkpoint(repo, listing, index.as_deref())
    }

    /// Whether the hub answers at all, asked once and not for long: anything over HTTP is an answer. Gives where the
    /// token is from if the hub does not know it.
    ///
    /// # Errors
    ///
    /// When nothing answers.
    pub fn reach(&self, stop: &AtomicBool) -> Result<Option<Origin>, Error> {
        let what = self.client.home();
        if self.settings().offline {
            return Err(Error::Offline { what });
        }
        match self.client.wait(self.client.ask(&what, self.client.user_url(), None, stop)) {
            Ok(answer) if answer.status() == StatusCode::UNAUTHORIZED => {
                Ok(self.settings().token.as_ref().map(|token| token.origin().clone()))
            }
            // A mirror may know no users, or point to where nobody may go.
            Ok(_) | Err(Fault::Final(Error::Answer { .. })) => Ok(None),
            Err(Fault::Final(error)) => Err(error),
            Err(Fault::Passing { reason, .. }) => Err(Error::Line { what, reason }),
        }
    }

    /// Bytes of a file that a fetch would still ask for.
    ///
    /// # Errors
    ///
    /// When the cache has something else where the file goes.
    pub fn to_fetch(&self, repo: &RepoName, file: &RemoteFile) -> Result<u64, Error> {
        let folder = self.cache.repo(repo);
        if download::is_there(&folder, file)? {
            return Ok(0);
        }
        Ok(file.bytes - download::begun(&folder, file)?)
    }

    /// Tells how much is to come, and refuses what does not fit on the disk.
    fn plan(&self, folder: &Folder, files: &[&RemoteFile], observer: Observer<'_>) -> Result<(), Error> {
        let (mut count, mut bytes, mut present) = (0, 0u64, 0u64);
        for file in files {
            if download::is_there(folder, file)? {
                present += file.bytes;
            } else {
                let begun = download::begun(folder, file)?;
                (count, present, bytes) =
                    (count + 1, present + begun, bytes.saturating_add(file.bytes - begun));
            }
        }
        observer(Event::Planned { files: count, bytes, present });
        let root = self.cache.root();
        let there = root.ancestors().find(|path| path.is_dir()).unwrap_or(Path::new("."));
        // A file system that does not tell may have room.
        match gguf_export::io::available_space(there) {
            Ok(available) if available < bytes => {
                Err(Error::NoSpace { path: root.to_owned(), needed: bytes, available })
            }
            _ => Ok(()),
        }
    }

    /// A repository that is not there and one that may not be seen are the same to those whom the hub does not know.
    fn explain(&self, error: Error, repo: &RepoName) -> Error {
        match error {
            Error::Forbidden { what, token, .. } => {
                Error::Forbidden { what, page: self.client.page(repo), token }
            }
            other => other,
        }
    }
}
