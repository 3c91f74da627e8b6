//! Standard error: the only place that writes there.
//!
//! Writing here never fails: a closed or full standard error does not end a command, because it carries no result. A
//! visible progress bar is cleared before each line and drawn again after it.

use std::io::{self, IsTerminal as _, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use indicatif::{ProgressBar, WeakProgressBar};

use super::text::printable;

/// Set by `--quiet`.
static QUIET: AtomicBool = AtomicBool::new(false);
/// The visible progress bar.
static DRAWN: Mutex<Option<WeakProgressBar>> = Mutex::new(None);

/// Prints a line, unless `--quiet` is set. Control characters are shown as escapes.
pub(crate) fn note(text: &str) {
    if !is_quiet() {
        line(&printable(text));
    }
}

/// Prints a line as it is.
pub(crate) fn line(text: &str) {
    put([text, "\n"].concat().as_bytes());
}

/// Whether standard error is a terminal.
pub(crate) fn is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// Prints errors only from now on.
pub(crate) fn be_quiet() {
    QUIET.store(true, Ordering::Relaxed);
}

/// Whether only errors are printed.
pub(crate) fn is_quiet() -> bool {
    QUIET.load(Ordering::Relaxed)
}

/// Registers the visible bar, which is cleared for each line.
pub(crate) fn clear_for_lines(bar: &ProgressBar) {
    *DRAWN.lock().unwrap_or_else(PoisonError::into_inner) = Some(bar.downgrade());
}

/// Standard error as a stream. Every write succeeds.
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

/// Standard error as a stream for notes, which `--quiet` discards.
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
    // A failure to write here cannot be reported anywhere.
    let write = || drop(io::stderr().lock().write_all(bytes));
    let drawn = DRAWN.lock().unwrap_or_else(PoisonError::into_inner);
    match drawn.as_ref().and_then(WeakProgressBar::upgrade) {
        Some(bar) => bar.suspend(write),
        None => write(),
    }
}
