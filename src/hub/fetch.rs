//! The operations on the hub: listing a repository, fetching files, reading a part of a file.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use gguf_export::checkpoint::head_bytes;
use reqwest::StatusCode;

use super::cache::{Cache, Folder};
use super::client::{Client, Failure};
use super::download::{self, Target};
use super::retry::Retries;
use super::{Error, Event, Listing, Observer, Origin, RemoteFile, RepoName, Settings, select, snapshot};

/// The largest listing, and the longest range, that is read into memory.
const MAX_BYTES: usize = 256 << 20;
/// How often the stop flag is checked and passed on to the downloads.
const POLL: Duration = Duration::from_millis(50);

/// The hub, and the cache for its files.
#[derive(Debug)]
pub struct Hub {
    client: Client,
    cache: Cache,
}

impl Hub {
    /// Sends no request yet.
    ///
    /// # Errors
    ///
    /// When the HTTP client cannot be set up.
    pub fn new(settings: Settings) -> Result<Self, Error> {
        let cache = Cache::at(&settings.cache);
        Ok(Self { client: Client::new(settings)?, cache })
    }

    /// The cache.
    #[must_use]
    pub fn cache(&self) -> &Cache {
        &self.cache
    }

    /// The settings in use.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        self.client.settings()
    }

    /// The files of a repository; in offline mode, those in the cache.
    ///
    /// # Errors
    ///
    /// When the hub does not return a valid listing.
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
        let request = async || {
            let response = self.client.get(&what, self.client.listing_url(repo), None, stop).await?;
            self.client.all(&what, response, MAX_BYTES, stop).await
        };
        let response = self.client.wait(Retries::new(&what).until(request, stop, observer));
        Listing::parse(repo, &response.map_err(|error| self.with_page(error, repo))?)
    }

    /// Fetches files, `jobs` at once, and returns the snapshot's folder, in which they have their own names. Files in the
    /// cache are not fetched again, and interrupted downloads are resumed.
    ///
    /// # Errors
    ///
    /// The first error of a file.
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
            let missing = files.iter().find(|file| folder.find(&listing.commit, &file.name).is_none());
            return match missing {
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
                    // Downloads that were stopped because of the first error are not errors themselves.
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
            return Err(self.with_page(error, repo));
        }
        if stop.load(Ordering::Relaxed) {
            return Err(Error::Stopped);
        }
        folder.set_ref(repo.revision(), &listing.commit)?;
        Ok(snapshot)
    }

    /// Fetches one file and returns its path. Several threads may do this at once. The revision's ref is not updated.
    ///
    /// # Errors
    ///
    /// When the file cannot be fetched or stored.
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

    /// Reads a part of a file, from the cache if the file is there. The hub lists no hash for a part.
    ///
    /// # Errors
    ///
    /// When the range is outside of the file, or cannot be fetched.
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
        if range.end > file.bytes || length > MAX_BYTES {
            let reason =
                format!("the file has {} bytes, requested {} to {}", file.bytes, range.start, range.end);
            return Err(Error::Response { what, reason });
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
        let request = async || -> Result<Vec<u8>, Failure> {
            let last = Some(range.end - 1);
            let response = self.client.get(&what, url(), Some((range.start, last)), stop).await?;
            let whole = range == (0..file.bytes);
            if response.status() != StatusCode::PARTIAL_CONTENT && !whole {
                let reason = format!("expected a part of the file (206), got {}", response.status());
                return Err(Error::Response { what: what.clone(), reason }.into());
            }
            if response.status() == StatusCode::PARTIAL_CONTENT {
                // Without a hash, only this header identifies the part.
                download::check_range(&what, &response, range.start, file.bytes)?;
            }
            let bytes = self.client.all(&what, response, length, stop).await?;
            if bytes.len() < length {
                let reason = format!("connection lost after {} of {length} bytes", bytes.len());
                return Err(Failure::Transient { reason, pause: None });
            }
            Ok(bytes)
        };
        self.client.wait(Retries::new(&what).until(request, stop, observer))
    }

    /// Reads a safetensors file up to the end of its header.
    ///
    /// # Errors
    ///
    /// When the header cannot be fetched.
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

    /// The files that a conversion needs: configuration, tokenizer, chat templates, model card, and all shards.
    ///
    /// # Errors
    ///
    /// When the index cannot be fetched, or names a missing file.
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
                Some(path.map_err(|error| self.with_page(error, repo))?)
            }
        };
        select::checkpoint(repo, listing, index.as_deref())
    }

    /// Checks once, without retries, that the hub is reachable. Any HTTP response counts. Returns where the token was
    /// found if the hub rejects it.
    ///
    /// # Errors
    ///
    /// When there is no response.
    pub fn reach(&self, stop: &AtomicBool) -> Result<Option<Origin>, Error> {
        let what = self.client.home();
        if self.settings().offline {
            return Err(Error::Offline { what });
        }
        match self.client.wait(self.client.send(&what, self.client.user_url(), None, stop)) {
            Ok(response) if response.status() == StatusCode::UNAUTHORIZED => {
                Ok(self.settings().token.as_ref().map(|token| token.origin().clone()))
            }
            // A mirror may have no accounts, or redirect to an address that is not followed.
            Ok(_) | Err(Failure::Final(Error::Response { .. })) => Ok(None),
            Err(Failure::Final(error)) => Err(error),
            Err(Failure::Transient { reason, .. }) => Err(Error::Network { what, reason, attempts: None }),
        }
    }

    /// The bytes of a file that are not in the cache yet.
    ///
    /// # Errors
    ///
    /// When the cache has something else in place of the file's folder.
    pub fn missing_bytes(&self, repo: &RepoName, file: &RemoteFile) -> Result<u64, Error> {
        let folder = self.cache.repo(repo);
        Ok(file.bytes - download::cached_bytes(&folder, file)?)
    }

    /// Reports the bytes to fetch, and refuses if they do not fit on the disk.
    fn plan(&self, folder: &Folder, files: &[&RemoteFile], observer: Observer<'_>) -> Result<(), Error> {
        let (mut count, mut bytes, mut present) = (0, 0u64, 0u64);
        for file in files {
            let cached = download::cached_bytes(folder, file)?;
            (present, bytes) = (present + cached, bytes.saturating_add(file.bytes - cached));
            count += usize::from(cached < file.bytes);
        }
        observer(Event::Planned { files: count, bytes, present });
        // Not every file system reports its free space.
        match gguf_export::io::available_space(&self.cache.existing()) {
            Ok(available) if available < bytes => {
                Err(Error::NoSpace { path: self.cache.root().to_owned(), needed: bytes, available })
            }
            _ => Ok(()),
        }
    }

    /// Sets the page of the repository, where a user can request access.
    fn with_page(&self, error: Error, repo: &RepoName) -> Error {
        match error {
            Error::Forbidden { what, host, token, .. } => {
                Error::Forbidden { what, host, page: self.client.page(repo), token }
            }
            other => other,
        }
    }
}
