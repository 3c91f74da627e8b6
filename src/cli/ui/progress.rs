//! Progress on standard error: a bar on a terminal, otherwise lines if requested.

use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use console::Term;
use ggrun::hub::Event;
use gguf_export::Progress;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::err;
use super::escape::printable;
use super::text;
use super::when::When;

/// Fits 80 columns, with space for the tensor's name.
const WIDE: &str = "{prefix} {bar:12} {binary_bytes} of {binary_total_bytes}  {binary_bytes_per_sec}  {eta} left  {wide_msg}";
/// Fits 40 columns. A wrapped line cannot be erased.
const NARROW: &str = "{prefix} {percent}%  {binary_bytes_per_sec}  {eta} left";

/// The shortest pause before a retry that is explained.
const LONG_PAUSE: Duration = Duration::from_secs(30);

/// Bytes, rate, time left and current tensor of an operation.
pub(crate) struct Bar {
    verb: &'static str,
    shown: Shown,
}

enum Shown {
    Nothing,
    Drawn(Box<Drawn>),
    Lines(Lines),
}

impl Bar {
    pub(crate) fn new(verb: &'static str, when: When) -> Self {
        let shown = match (when, err::draws_bars()) {
            (When::Never, _) | (When::Auto, false) => Shown::Nothing,
            _ if err::is_quiet() => Shown::Nothing,
            (When::Auto | When::Always, true) => Shown::Drawn(Box::new(Drawn::new())),
            (When::Always, false) => Shown::Lines(Lines::default()),
        };
        Self { verb, shown }
    }

    pub(crate) fn observe(&self, progress: Progress<'_>) {
        match progress {
            Progress::Surveying { bytes, .. } => self.start("Checking", bytes, 0),
            Progress::Planned { bytes, resumed, .. } => self.start(self.verb, bytes, resumed),
            Progress::Advanced { tensor, bytes } => self.advance(tensor, bytes),
            Progress::Syncing => {
                if let Shown::Drawn(drawn) = &self.shown {
                    drawn.bar.set_message("waiting for the disk");
                }
            }
            Progress::Warning { text } => err::warning(text),
            Progress::Finished => self.clear(),
            _ => {}
        }
    }

    /// Shows an event of the hub.
    pub(crate) fn fetch(&self, event: Event<'_>) {
        match event {
            Event::Planned { bytes, present, .. } => self.start(self.verb, bytes + present, present),
            Event::Received { file, bytes } => self.advance(file, bytes),
            Event::Discarded { bytes, .. } => match &self.shown {
                Shown::Nothing => {}
                Shown::Drawn(drawn) => drawn.bar.dec(bytes),
                Shown::Lines(lines) => lines.subtract(bytes),
            },
            Event::Unreachable { what, reason } => {
                err::warning(&format!("{reason}; using the files of `{what}` in the cache"));
            }
            Event::Retrying { what, reason, pause, retry, retries } => {
                let line = format!(
                    "{what}: {reason}; retrying in {:.1} s ({retry} of {retries})",
                    pause.as_secs_f64()
                );
                // Long enough to ask what to do.
                let long =
                    if pause >= LONG_PAUSE { "; Ctrl-C stops, and the same command resumes" } else { "" };
                Self::say(&format!("{line}{long}"));
            }
            _ => {}
        }
    }

    /// Shows an event of the hub during a conversion, whose work includes the bytes to fetch.
    pub(crate) fn arrive(&self, event: Event<'_>) {
        if let Event::Planned { bytes, .. } = event {
            match &self.shown {
                Shown::Nothing => {}
                Shown::Drawn(drawn) => drawn.bar.inc_length(bytes),
                Shown::Lines(lines) => lines.expect(bytes),
            }
        } else {
            self.fetch(event);
        }
    }

    /// Prints a line above the bar.
    pub(crate) fn say(line: &str) {
        err::note(line);
    }

    pub(crate) fn clear(&self) {
        if let Shown::Drawn(drawn) = &self.shown {
            drawn.bar.finish_and_clear();
        }
    }

    fn advance(&self, what: &str, bytes: u64) {
        match &self.shown {
            Shown::Nothing => {}
            Shown::Drawn(drawn) => drawn.advance(what, bytes),
            Shown::Lines(lines) => lines.advance(bytes),
        }
    }

    fn start(&self, verb: &'static str, bytes: u64, done: u64) {
        match &self.shown {
            Shown::Nothing => {}
            Shown::Drawn(drawn) => drawn.start(verb, bytes, done),
            Shown::Lines(lines) => lines.start(verb, bytes, done),
        }
    }
}

/// A bar on a terminal, drawn as soon as the amount of work is known.
struct Drawn {
    bar: ProgressBar,
    terminal: Term,
    /// Columns that the template fits.
    columns: AtomicU16,
}

impl Drawn {
    fn new() -> Self {
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::hidden());
        Self { bar, terminal: Term::stderr(), columns: AtomicU16::new(0) }
    }

    fn start(&self, verb: &'static str, bytes: u64, done: u64) {
        self.fit();
        self.bar.reset();
        self.bar.set_prefix(verb);
        self.bar.set_length(bytes);
        self.bar.set_position(done);
        // Bytes of an earlier run must not count for the rate.
        self.bar.reset_eta();
        if self.bar.is_hidden() {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
            err::clear_for_lines(&self.bar);
        }
        self.bar.enable_steady_tick(Duration::from_millis(200));
    }

    fn advance(&self, tensor: &str, bytes: u64) {
        self.fit();
        self.bar.set_message(printable(tensor).into_owned());
        self.bar.inc(bytes);
    }

    /// Selects the template for the width of the terminal.
    fn fit(&self) {
        let columns = self.terminal.size().1;
        if self.columns.swap(columns, Ordering::Relaxed) != columns {
            let template = if columns < 80 { NARROW } else { WIDE };
            let style = ProgressStyle::with_template(template).expect("the templates are valid");
            self.bar.set_style(style.progress_chars("=> "));
        }
    }
}

/// A line for every 10 %, for log files.
#[derive(Default)]
struct Lines(Mutex<Work>);

#[derive(Default)]
struct Work {
    verb: &'static str,
    total: u64,
    done: u64,
}

impl Lines {
    fn start(&self, verb: &'static str, total: u64, done: u64) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Work { verb, total, done };
    }

    fn expect(&self, bytes: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).total += bytes;
    }

    fn subtract(&self, bytes: u64) {
        let mut work = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        work.done = work.done.saturating_sub(bytes);
    }

    fn advance(&self, bytes: u64) {
        let mut work = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = work.tenths();
        work.done += bytes;
        if work.tenths() > before {
            let (done, total) = (text::bytes(work.done), text::bytes(work.total));
            err::note(&format!("{}: {}%, {done} of {total}", work.verb, work.tenths() * 10));
        }
    }
}

impl Work {
    fn tenths(&self) -> u128 {
        u128::from(self.done) * 10 / u128::from(self.total.max(1))
    }
}
