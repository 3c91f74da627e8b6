//! Captures llama.cpp's log during one call: its only source of reasons.

use std::fmt;
use std::sync::{Arc, Mutex, Once, PoisonError};

use llama_cpp_2::{LogOptions, send_logs_to_tracing};

use tracing::dispatcher::{self, Dispatch};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// The tracing target of llama.cpp's lines in the binding.
const TARGET: &str = "llama-cpp-2";

/// Lines to return, from the end.
const LINES: usize = 12;

/// Runs an action and returns the errors that llama.cpp logged on this thread meanwhile, or its warnings if there is no
/// error.
///
/// The current subscriber gets them afterwards: unchanged if the action succeeded, otherwise at the debug level, because
/// they are part of the error.
pub(super) fn capture<T, E>(action: impl FnOnce() -> Result<T, E>) -> (Result<T, E>, Vec<String>) {
    Capture::new().of(action)
}

/// [`capture`] for calls that are made often: each new subscriber makes tracing look at all its callsites.
#[derive(Debug)]
pub(super) struct Capture {
    lines: Lines,
    tap: Dispatch,
}

type Lines = Arc<Mutex<Vec<(Level, String)>>>;

impl Capture {
    /// For the subscriber of this thread.
    pub(super) fn new() -> Self {
        send();
        let lines = Lines::default();
        let inner = dispatcher::get_default(Clone::clone);
        Self { tap: Dispatch::new(Tap { lines: Arc::clone(&lines), inner }), lines }
    }

    /// Runs an action; see [`capture`].
    pub(super) fn of<T, E>(&self, action: impl FnOnce() -> Result<T, E>) -> (Result<T, E>, Vec<String>) {
        let result = dispatcher::with_default(&self.tap, action);
        let lines = std::mem::take(&mut *self.lines.lock().unwrap_or_else(PoisonError::into_inner));
        let lines = report(lines, result.is_err());
        (result, lines)
    }
}

/// Passes lines on, and returns those that tell a reason.
fn report(mut lines: Vec<(Level, String)>, has_failed: bool) -> Vec<String> {
    for (level, line) in &lines {
        match *level {
            _ if has_failed => tracing::debug!(target: TARGET, "{line}"),
            Level::ERROR => tracing::error!(target: TARGET, "{line}"),
            _ => tracing::warn!(target: TARGET, "{line}"),
        }
    }
    if lines.iter().any(|(level, _)| *level == Level::ERROR) {
        lines.retain(|(level, _)| *level == Level::ERROR);
    }
    lines.drain(..lines.len().saturating_sub(LINES));
    lines.into_iter().map(|(_, line)| line).collect()
}

/// Sends llama.cpp's log to tracing from now on; it prints on standard error otherwise.
pub(super) fn send() {
    static SENT: Once = Once::new();
    SENT.call_once(|| send_logs_to_tracing(LogOptions::default()));
}

/// Whether a line says that an allocation failed.
pub(crate) fn is_short_of_memory(line: &str) -> bool {
    ALLOCATION.iter().any(|text| line.contains(text))
}

/// Texts of llama.cpp's log after an allocation failed.
const ALLOCATION: [&str; 8] = [
    "bad_alloc",
    "failed to allocate",
    "unable to allocate",
    "insufficient memory",
    "out of memory",
    "Cannot allocate memory",
    // Vulkan.
    "ErrorOutOfDeviceMemory",
    "ErrorOutOfHostMemory",
];

/// The lines of a failed call as its reason, or `fallback` without any.
pub(super) fn reason(lines: &[String], fallback: impl fmt::Display) -> String {
    let said: Vec<_> = lines.iter().map(String::as_str).filter(|line| !line.is_empty()).collect();
    if said.is_empty() { fallback.to_string() } else { said.join("; ") }
}

struct Tap {
    lines: Lines,
    inner: Dispatch,
}

impl Tap {
    fn is_warning(metadata: &Metadata<'_>) -> bool {
        metadata.target() == TARGET && *metadata.level() <= Level::WARN
    }
}

impl Subscriber for Tap {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        Self::is_warning(metadata) || self.inner.enabled(metadata)
    }

    fn event(&self, event: &Event<'_>) {
        if Self::is_warning(event.metadata()) {
            let mut line = Line(String::new());
            event.record(&mut line);
            let line = (*event.metadata().level(), line.0.trim().to_owned());
            self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        } else if self.inner.enabled(event.metadata()) {
            self.inner.event(event);
        }
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.inner.new_span(span)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        self.inner.record(span, values);
    }

    fn record_follows_from(&self, span: &Id, follows: &Id) {
        self.inner.record_follows_from(span, follows);
    }

    fn enter(&self, span: &Id) {
        self.inner.enter(span);
    }

    fn exit(&self, span: &Id) {
        self.inner.exit(span);
    }

    fn clone_span(&self, id: &Id) -> Id {
        self.inner.clone_span(id)
    }

    fn try_close(&self, id: Id) -> bool {
        self.inner.try_close(id)
    }
}

struct Line(String);

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.0.push_str(value);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}
