//! Progress events of downloads.

use std::time::Duration;

/// A progress event. Sizes are in bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The files to fetch are known.
    Planned {
        /// Files that are incomplete or missing.
        files: usize,
        /// Bytes to fetch.
        bytes: u64,
        /// Bytes that are already in the cache.
        present: u64,
    },
    /// A part of a file was received.
    Received {
        /// The file's name.
        file: &'a str,
        /// Its size.
        bytes: u64,
    },
    /// The received part of a file is discarded and will be fetched again.
    Discarded {
        /// The file's name.
        file: &'a str,
        /// Its size.
        bytes: u64,
    },
    /// A file is complete and has the listed hash.
    Finished {
        /// The file's name.
        file: &'a str,
    },
    /// The hub cannot be reached, and the files in the cache are used.
    Unreachable {
        /// The repository.
        what: &'a str,
        /// Why the hub cannot be reached.
        reason: &'a str,
    },
    /// A request failed and will be retried.
    Retrying {
        /// The repository or file.
        what: &'a str,
        /// Why it failed.
        reason: &'a str,
        /// The pause before the next attempt.
        pause: Duration,
        /// The number of this retry, from 1.
        retry: usize,
        /// The number of retries before the request is given up.
        retries: usize,
    },
}

/// Receives events, from several threads.
pub type Observer<'a> = &'a (dyn Fn(Event<'_>) + Sync);
