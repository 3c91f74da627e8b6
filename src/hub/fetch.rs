//! The operations on the hub: listing a repository, and fetching files.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use reqwest::StatusCode;

use super::cache::{Cache, Folder};
use super::client::Client;
use super::download::{self, Target};
use super::failure::Failure;
use super::listing::Listed;
use super::local::{self, LocalDir};
use super::retry::Retries;
use super::{
    Error, Event, Listing, Observer, Origin, RemoteFile, RepoName, Settings, head, select, snapshot,
};

/// The largest listing that is read into memory.
const MAX_BYTES: usize = 256 << 20;
/// How often the stop flag is checked and passed on to the downloads.
const POLL: Duration = Duration::from_millis(50);
/// Why the hub is not asked in offline mode.
const OFFLINE: &str = "nothing is downloaded in offline mode";

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

    /// The files of a repository. In offline mode, or if the hub does not return a valid listing, those in the
    /// cache.
    ///
    /// # Errors
    ///
    /// When the hub does not return a valid listing, and the cache has none of the files.
    pub fn listing(
        &self,
        repo: &RepoName,
        stop: &AtomicBool,
        observer: Observer<'_>,
    ) -> Result<Listing, Error> {
        if self.settings().offline {
            return snapshot::listing(&self.cache.repo(repo), repo, OFFLINE);
        }
        let what = repo.to_string();
        let error = match self.request_listing(repo, &what, stop, observer) {
            // A network that asks for a login answers in place of the hub.
            Err(error @ (Error::Network { .. } | Error::RetryLater { .. } | Error::Response { .. })) => error,
            listing => return listing.map_err(|error| self.with_page(error, repo)),
        };
        let reason = match &error {
            Error::Network { reason, .. } => reason.clone(),
            other => other.to_string(),
        };
        match snapshot::listing(&self.cache.repo(repo), repo, &format!("the hub is not available: {reason}"))
        {
            Ok(listing) => {
                observer(Event::Unreachable { what: &what, reason: &reason });
                Ok(listing)
            }
            // What fails is the request.
            Err(_) => Err(error),
        }
    }

    fn request_listing(
        &self,
        repo: &RepoName,
        what: &str,
        stop: &AtomicBool,
        observer: Observer<'_>,
    ) -> Result<Listing, Error> {
        let request = async || {
            let response = self.client.get(what, self.client.listing_url(repo), None, stop).await?;
            self.client.all(what, response, MAX_BYTES, stop).await
        };
        let response = self.client.wait(Retries::new(what).until(request, stop, observer))?;
        head::complete(&self.client, repo, Listed::parse(repo, &response)?, stop, observer)
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
        if listing.only_cached.is_none() {
            let cached = |file: &RemoteFile| download::cached_bytes(&folder, &listing.commit, file);
            plan(&self.disk(repo), files, cached, observer)?;
        }
        each(files, jobs, stop, |file, halt| self.fetch_one(repo, listing, file, halt, observer).map(drop))
            .map_err(|error| self.with_page(error, repo))?;
        if listing.only_cached.is_none() {
            record(&folder, repo, &listing.commit)?;
        }
        Ok(snapshot)
    }

    /// Fetches files into a plain folder, `jobs` at once. Files that are there are not fetched again, files in the cache
    /// are copied, and interrupted downloads are resumed.
    ///
    /// # Errors
    ///
    /// The first error of a file.
    pub fn fetch_to(
        &self,
        dir: &LocalDir,
        (repo, listing): (&RepoName, &Listing),
        files: &[&RemoteFile],
        jobs: usize,
        stop: &AtomicBool,
        observer: Observer<'_>,
    ) -> Result<(), Error> {
        plan(dir.path(), files, |file| dir.bytes(&listing.commit, file), observer)?;
        let fetch = |file: &RemoteFile, halt: &AtomicBool| {
            local::fetch(&self.client, &self.cache.repo(repo), dir, (repo, listing), file, halt, observer)
        };
        each(files, jobs, stop, fetch).map_err(|error| self.with_page(error, repo))
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
        if listing.only_cached.is_some()
            && let Some(found) = folder.find(&listing.commit, &file.name)
        {
            return Ok(found);
        }
        listing.needs(&format!("{}/{}", repo.id(), file.name))?;
        let target = Target { repo, commit: &listing.commit, folder, file };
        download::fetch(&self.client, &target, stop, observer)
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
            return Err(Error::Offline { what, reason: OFFLINE.to_owned() });
        }
        match self.client.wait(self.client.send(&what, self.client.user_url(), None, stop)) {
            Ok(response) if response.status() == StatusCode::UNAUTHORIZED => {
                Ok(self.settings().token.as_ref().map(|token| token.origin().clone()))
            }
            // A mirror may have no accounts, or redirect to an address that is not followed.
            Ok(_) | Err(Failure::Final(Error::Response { .. })) => Ok(None),
            Err(failure) => Err(failure.give_up(&what, 1)),
        }
    }

    /// The bytes of a file that are not in the cache yet.
    ///
    /// # Errors
    ///
    /// When the cache has something else in place of the file's folder.
    pub fn missing_bytes(&self, repo: &RepoName, listing: &Listing, file: &RemoteFile) -> Result<u64, Error> {
        let folder = self.cache.repo(repo);
        Ok(file.bytes - download::cached_bytes(&folder, &listing.commit, file)?)
    }

    /// An existing folder on the disk to which the files of a repository go.
    #[must_use]
    pub fn disk(&self, repo: &RepoName) -> PathBuf {
        // It may be a link to another disk.
        let own = self.cache.repo(repo).path();
        if own.is_dir() { own } else { self.cache.existing() }
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
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

/// Reports the bytes to fetch, and refuses if they do not fit on the disk of a folder.
fn plan(
    disk: &Path,
    files: &[&RemoteFile],
    present_bytes: impl Fn(&RemoteFile) -> Result<u64, Error>,
    observer: Observer<'_>,
) -> Result<(), Error> {
    let (mut count, mut bytes, mut present) = (0, 0u64, 0u64);
    for file in files {
        let there = present_bytes(file)?;
        (present, bytes) = (present + there, bytes.saturating_add(file.bytes - there));
        count += usize::from(there < file.bytes);
    }
    observer(Event::Planned { files: count, bytes, present });
    // Not every file system reports its free space.
    match gguf_export::io::available_space(disk) {
        Ok(available) if available < bytes => {
            Err(Error::NoSpace { path: disk.to_owned(), needed: bytes, available })
        }
        _ => Ok(()),
    }
}

/// Calls `fetch` for every file, `jobs` at once, until one fails or `stop` is set. The flag that it is given stops it.
fn each(
    files: &[&RemoteFile],
    jobs: usize,
    stop: &AtomicBool,
    fetch: impl Fn(&RemoteFile, &AtomicBool) -> Result<(), Error> + Sync,
) -> Result<(), Error> {
    let (next, halt, first) = (AtomicUsize::new(0), AtomicBool::new(false), Mutex::new(None));
    let work = || {
        while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            if halt.load(Ordering::Relaxed) {
                break;
            }
            if let Err(error) = fetch(file, &halt) {
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
    match first.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None if stop.load(Ordering::Relaxed) => Err(Error::Stopped),
        None => Ok(()),
    }
}

/// Records the commit of a branch or a tag for offline mode. A read-only cache keeps its record.
fn record(folder: &Folder, repo: &RepoName, commit: &str) -> Result<(), Error> {
    if folder.commit_of(repo.revision()).as_deref() == Some(commit) {
        return Ok(());
    }
    match folder.set_ref(repo.revision(), commit) {
        Err(error) if error.is_read_only() => Ok(()),
        done => Ok(done?),
    }
}
