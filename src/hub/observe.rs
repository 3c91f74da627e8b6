//! What happens while files come.

use std::time::Duration;

/// Something that happened. Lengths are bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// What is wanted is known.
    Planned {
        /// Files that are still to come, wholly or in part.
        files: usize,
        /// What of them is still to come.
        bytes: u64,
        /// What was there before.
        present: u64,
    },
    /// More of a file came.
    Received {
        /// Its name.
        file: &'a str,
        /// How much.
        bytes: u64,
    },
    /// What came of a file is of no use and comes again.
    Discarded {
        /// Its name.
        file: &'a str,
        /// How much.
        bytes: u64,
    },
    /// A file is whole and has its hash.
    Finished {
        /// Its name.
        file: &'a str,
    },
    /// Something did not work and is tried again.
    Waiting {
        /// What is fetched.
        what: &'a str,
        /// What happened.
        reason: &'a str,
        /// When it is tried again.
        pause: Duration,
    },
}

/// Hears what happens, from several threads.
pub type Observer<'a> = &'a (dyn Fn(Event<'_>) + Sync);
