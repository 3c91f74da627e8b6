//! Downloads from a test server, with every fault of the server and of the connection.

#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod convert;
mod faults;
mod inspect;
mod interrupt;
mod library;
mod local;
mod machines;
mod names;
mod process;
mod serve;
pub(crate) mod server;
mod verify;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

use ggrun::hub::{Error, Event, Hub, RepoName, Settings};

use server::{COMMIT, Server, hash};

/// A server and an empty cache.
struct Site {
    server: Server,
    home: tempfile::TempDir,
}

/// The outcome of a fetch.
struct Fetched {
    result: Result<PathBuf, Error>,
    /// The reasons of retries.
    retried: Vec<String>,
    /// Why the cache was used instead of the hub.
    unreachable: Option<String>,
}

impl Site {
    fn new(files: &[(&str, Vec<u8>)]) -> Self {
        Self { server: Server::new(files), home: tempfile::tempdir().unwrap() }
    }

    fn cache(&self) -> PathBuf {
        self.home.path().join("hub")
    }

    fn repo(&self) -> PathBuf {
        self.cache().join("models--org--name")
    }

    fn blob(&self, bytes: &[u8]) -> PathBuf {
        self.repo().join("blobs").join(hash(bytes))
    }

    fn partial(&self, bytes: &[u8]) -> PathBuf {
        self.blob(bytes).with_extension("incomplete")
    }

    /// Removes everything that was fetched.
    fn empty(&self) {
        fs::remove_dir_all(self.repo()).unwrap();
    }

    fn settings(&self, more: &[(&str, &str)]) -> Settings {
        let cache = self.cache();
        let find = |name: &str| -> Option<OsString> {
            let value = more.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into());
            value.or_else(|| match name {
                "HF_ENDPOINT" => Some(self.server.endpoint().into()),
                "HF_HUB_CACHE" => Some(cache.clone().into()),
                // A busy machine is not a stalled connection.
                "HF_HUB_DOWNLOAD_TIMEOUT" => Some("60".into()),
                _ => None,
            })
        };
        Settings::of(find, Some(self.home.path())).unwrap()
    }

    /// Fetches everything.
    fn fetch(&self) -> Fetched {
        self.fetch_with(&[])
    }

    fn fetch_with(&self, more: &[(&str, &str)]) -> Fetched {
        let (retried, unreachable) = (Mutex::new(Vec::new()), Mutex::new(None));
        let observer = |event: Event<'_>| match event {
            Event::Retrying { reason, .. } => retried.lock().unwrap().push(reason.to_owned()),
            Event::Unreachable { reason, .. } => *unreachable.lock().unwrap() = Some(reason.to_owned()),
            _ => {}
        };
        let go = AtomicBool::new(false);
        let repo: RepoName = "org/name".parse().unwrap();
        let result = Hub::new(self.settings(more)).and_then(|hub| {
            let listing = hub.listing(&repo, &go, &observer)?;
            let files: Vec<_> = listing.files.iter().collect();
            hub.fetch(&repo, &listing, &files, 2, &go, &observer)
        });
        self.assert_consistent();
        let (retried, unreachable) = (retried.into_inner().unwrap(), unreachable.into_inner().unwrap());
        Fetched { result, retried, unreachable }
    }

    /// Every file with a final name has its hash, and every link has a target.
    #[track_caller]
    fn assert_consistent(&self) {
        for entry in entries(&self.repo().join("blobs")) {
            let name = entry.file_name().unwrap().to_str().unwrap().to_owned();
            if !name.ends_with(".incomplete") {
                assert_eq!(hash(&fs::read(&entry).unwrap()), name);
            }
        }
        for entry in entries(&self.repo().join("snapshots").join(COMMIT)) {
            assert!(entry.is_file(), "{} has no target", entry.display());
        }
    }
}

impl Fetched {
    /// The snapshot's folder.
    #[track_caller]
    fn folder(&self) -> &Path {
        self.result.as_deref().unwrap_or_else(|error| panic!("{error}"))
    }

    #[track_caller]
    fn error(&self) -> &Error {
        self.result.as_ref().err().unwrap()
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path()).collect()
}

/// Bytes with a pattern.
fn bytes(length: usize, seed: u8) -> Vec<u8> {
    (0..length).map(|n| u8::try_from((n * 31 + n / 251) % 256).unwrap_or(0) ^ seed).collect()
}
