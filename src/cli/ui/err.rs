//! Standard error: the only place that writes there.
//!
//! Nothing here fails. A reader that is gone, a full disk or a closed descriptor behind standard error never ends a
//! command, because what is written there is for people and no result. Lines clear a progress bar that is drawn and
//! have it drawn again.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use indicatif::{ProgressBar, WeakProgressBar};

use super::text::printable;

/// Set by `--quiet`.
static QUIET: AtomicBool = AtomicBool::new(false);
/// The bar that is drawn, if any.
static DRAWN: Mutex<Option<WeakProgressBar>> = Mutex::new(None);

/// Prints a line about the work, unless only errors are wanted. Control characters are made visible.
pub(crate) fn note(text: &str) {
    if !is_quiet() {
        line(&printable(text));
    }
}

/// Prints a line as it is.
pub(crate) fn line(text: &str) {
    put([text, "\n"].concat().as_bytes());
}

/// Prints errors only from now on.
pub(crate) fn be_quiet() {
    QUIET.store(true, Ordering::Relaxed);
}

/// Whether only errors are printed.
pub(crate) fn is_quiet() -> bool {
    QUIET.load(Ordering::Relaxed)
}

/// Clears this bar for every line from now on.
pub(crate) fn clear_for_lines(bar: &ProgressBar) {
    *DRAWN.lock().unwrap_or_else(PoisonError::into_inner) = Some(bar.downgrade());
}

/// Standard error as a stream, for text that comes in pieces. Every write succeeds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stderr;

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        put(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The same for text about the work, which is not printed where only errors are wanted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Notes;

impl Write for Notes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if is_quiet() { Ok(bytes.len()) } else { Stderr.write(bytes) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn put(bytes: &[u8]) {
    // Nothing is left to write the failure to.
    let write = || drop(io::stderr().lock().write_all(bytes));
    let drawn = DRAWN.lock().unwrap_or_else(PoisonError::into_inner);
    match drawn.as_ref().and_then(WeakProgressBar::upgrade) {
        Some(bar) => bar.suspend(write),
        None => write(),
    }
}
