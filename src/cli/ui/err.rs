//! Standard error: the only place that writes there.
//!
//! Writing here never fails: a closed or full standard error does not end a command, because it carries no result. A
//! visible progress bar is cleared before each line and drawn again after it.

use std::io::{self, IsTerminal as _, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use indicatif::{ProgressBar, WeakProgressBar};
use serde_json::json;

use super::escape::{self, Escaper};
use super::stream::Stream;
use super::style::{Style, Verbatim};

/// Set by `--quiet`.
static QUIET: AtomicBool = AtomicBool::new(false);
/// Set by `--progress json` and `--log-json`.
static JSON: AtomicBool = AtomicBool::new(false);
/// The visible progress bar.
static DRAWN: Mutex<Option<WeakProgressBar>> = Mutex::new(None);

/// Prints a line, unless `--quiet` is set. See [`line`].
pub(crate) fn note(text: &str) {
    if !is_quiet() {
        line(text);
    }
}

/// Prints a line that begins with `note:`, unless `--quiet` is set.
pub(crate) fn remark(text: &str) {
    if !is_quiet() {
        titled(Verbatim::raw(""), "note", text);
    }
}

/// Prints a warning, unless `--quiet` is set.
pub(crate) fn warning(text: &str) {
    if !is_quiet() {
        titled(Style::of_stderr().warning(), "warning", text);
    }
}

/// Prints everything as JSON objects from now on, for a program that reads standard error.
pub(crate) fn use_json() {
    JSON.store(true, Ordering::Relaxed);
}

/// Whether everything is printed as JSON objects.
pub(crate) fn is_json() -> bool {
    JSON.load(Ordering::Relaxed)
}

/// Prints a line. Control characters are shown as escapes, and long values are cut.
pub(crate) fn line(text: &str) {
    if is_json() {
        json(&json!({ "message": text }));
    } else {
        put((escape::message(text) + "\n").as_bytes());
    }
}

/// Prints an error with its causes and a hint.
pub(crate) fn error(text: &str, causes: &[String], hint: Option<&str>) {
    put(failure(Style::of_stderr(), text, causes, hint).as_bytes());
}

/// Prints an error with its causes and a hint.
pub(crate) fn chain(error: &anyhow::Error, hint: Option<&str>) {
    let causes: Vec<String> = error.chain().skip(1).map(ToString::to_string).collect();
    self::error(&error.to_string(), &causes, hint);
}

/// An error with its causes and a hint, as it is printed.
pub(crate) fn failure(style: Style, text: &str, causes: &[String], hint: Option<&str>) -> String {
    if is_json() {
        let mut object = json!({ "level": "error", "message": text });
        if !causes.is_empty() {
            object["causes"] = causes.into();
        }
        if let Some(hint) = hint {
            object["hint"] = hint.into();
        }
        return json_line(&object);
    }
    let mut shown = titled_line(style.error(), style.reset(), "error", text);
    for cause in causes {
        shown.extend(["  caused by: ", &escape::message(cause), "\n"]);
    }
    if let Some(hint) = hint {
        shown.extend(["\nhint: ", &escape::message(hint), "\n"]);
    }
    shown
}

/// Prints a [`line`] that begins with a word in a color.
pub(crate) fn titled(colour: Verbatim<'_>, word: &str, text: &str) {
    if is_json() {
        json(&json!({ "level": word, "message": text }));
    } else {
        put(titled_line(colour, Style::of_stderr().reset(), word, text).as_bytes());
    }
}

fn titled_line(colour: Verbatim<'_>, reset: Verbatim<'_>, word: &str, text: &str) -> String {
    format!("{}{word}:{} {}\n", colour.as_str(), reset.as_str(), escape::message(text))
}

/// Prints a JSON object on a line.
pub(crate) fn json(object: &serde_json::Value) {
    put(json_line(object).as_bytes());
}

fn json_line(object: &serde_json::Value) -> String {
    escape::json(&object.to_string()) + "\n"
}

/// Prints clap's text, which has colors.
pub(crate) fn coloured(text: &str) {
    put((escape::except_colours(text) + "\n").as_bytes());
}

/// Whether standard error is a terminal.
pub(crate) fn is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// Columns of the terminal; 0 without one.
pub(crate) fn columns() -> usize {
    if is_terminal() { console::Term::stderr().size().1.into() } else { 0 }
}

/// Whether a bar can be drawn on standard error.
pub(crate) fn draws_bars() -> bool {
    is_terminal() && !is_quiet() && !is_json() && std::env::var_os("TERM").is_some_and(|term| term != "dumb")
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
#[derive(Debug)]
pub(crate) struct Stderr {
    /// On a terminal.
    escaper: Option<Escaper>,
    /// Whether `--quiet` discards what is written.
    notes: bool,
}

/// Standard error as a stream.
pub(crate) fn stderr() -> Stderr {
    Stderr { escaper: is_terminal().then(Escaper::default), notes: false }
}

/// Standard error as a stream for notes, which `--quiet` discards.
pub(crate) fn notes() -> Stderr {
    Stderr { notes: true, ..stderr() }
}

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.escaper {
            _ if self.notes && is_quiet() => {}
            Some(escaper) => put(escaper.push(bytes).as_bytes()),
            None => put(bytes),
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for Stderr {
    fn verbatim(&mut self, text: Verbatim<'_>) -> io::Result<()> {
        if !(self.notes && is_quiet()) {
            let held = self.escaper.as_mut().map(Escaper::finish).unwrap_or_default();
            put((held + text.as_str()).as_bytes());
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_word_of_a_line_has_a_color() {
        let rich = Style::Rich;
        let line = titled_line(rich.error(), rich.reset(), "error", "no `\x1b[2J`");
        assert_eq!(line, "\x1b[1;31merror:\x1b[0m no `\\u{1b}[2J`\n");
    }
}
