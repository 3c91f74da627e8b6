//! Keeps two changes of a folder apart, of threads and of processes.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, Once, TryLockError as ThreadError};
use std::thread;
use std::time::{Duration, Instant};

/// Time between two tries.
const POLL: Duration = Duration::from_millis(2);

/// The lock of the changes of one folder.
#[derive(Debug, Default)]
pub(super) struct ChangeLock(Mutex<()>);

/// Held from the check of a condition to the change: no other thread and no other process changes the folder meanwhile.
#[derive(Debug)]
pub(super) struct Changing<'a> {
    _thread: MutexGuard<'a, ()>,
    /// The folder, which is locked unless its file system has no locks.
    _process: File,
}

impl ChangeLock {
    /// Waits until other threads and processes are done; `None` if they take longer than `patience`.
    ///
    /// # Errors
    ///
    /// When the folder cannot be opened.
    pub(super) fn lock(&self, folder: &Path, patience: Duration) -> io::Result<Option<Changing<'_>>> {
        static WITHOUT_LOCKS: Once = Once::new();

        let begun = Instant::now();
        let thread = loop {
            match self.0.try_lock() {
                Ok(guard) => break guard,
                Err(ThreadError::Poisoned(error)) => break error.into_inner(),
                Err(ThreadError::WouldBlock) if begun.elapsed() >= patience => return Ok(None),
                Err(ThreadError::WouldBlock) => thread::sleep(POLL),
            }
        };
        let process = File::open(folder)?;
        loop {
            match process.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if begun.elapsed() >= patience => return Ok(None),
                Err(TryLockError::WouldBlock) => thread::sleep(POLL),
                Err(TryLockError::Error(error)) => {
                    WITHOUT_LOCKS.call_once(|| {
                        tracing::warn!(
                            "cannot lock `{}` ({error}): of two processes that write a conversation at the same \
                             moment, one may overwrite the other's change",
                            folder.display()
                        );
                    });
                    break;
                }
            }
        }
        Ok(Some(Changing { _thread: thread, _process: process }))
    }
}
