//! A deadline for unit tests that wait for an engine, or step one until it is done: a hang ends the test program.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

/// Generous, so that only a hang reaches it.
const PATIENCE: Duration = Duration::from_mins(5);

/// Ends the test program if it is not dropped in time.
#[derive(Debug)]
pub(crate) struct Deadline {
    _off: Sender<()>,
}

impl Deadline {
    pub(crate) fn start() -> Self {
        let (sender, off) = channel();
        let test = thread::current().name().unwrap_or_default().to_owned();
        thread::spawn(move || {
            if off.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                eprintln!("`{test}` still runs after {PATIENCE:?}");
                std::process::abort();
            }
        });
        Self { _off: sender }
    }
}
