//! Colors on a terminal. Color never carries meaning.

use std::env;
use std::sync::atomic::{AtomicU8, Ordering};

use super::when::When;
use super::{err, out};

/// Set by `--color`.
static COLOUR: AtomicU8 = AtomicU8::new(0);
const ALWAYS: u8 = 1;
const NEVER: u8 = 2;

/// Uses color always or never from now on, or if a terminal and the environment allow it.
pub(crate) fn colour(when: When) {
    let choice = match when {
        When::Auto => 0,
        When::Always => ALWAYS,
        When::Never => NEVER,
    };
    COLOUR.store(choice, Ordering::Relaxed);
}

/// Whether a stream supports escape sequences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// Escape sequences are written.
    Rich,
    /// Plain text only.
    Plain,
}

impl Style {
    /// For standard error.
    pub(crate) fn of_stderr() -> Self {
        Self::of(err::is_terminal())
    }

    /// For standard output.
    pub(crate) fn of_stdout() -> Self {
        Self::of(out::is_terminal())
    }

    fn of(terminal: bool) -> Self {
        match COLOUR.load(Ordering::Relaxed) {
            ALWAYS => return Self::Rich,
            NEVER => return Self::Plain,
            _ => {}
        }
        let set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
        Self::choose(
            terminal && env::var_os("TERM").is_none_or(|term| term != "dumb"),
            set("NO_COLOR"),
            env::var_os("CLICOLOR_FORCE").is_some_and(|value| !value.is_empty() && value != "0"),
        )
    }

    fn choose(terminal: bool, forbidden: bool, forced: bool) -> Self {
        if !forbidden && (terminal || forced) { Self::Rich } else { Self::Plain }
    }

    /// Starts the color of errors.
    pub(crate) fn error(self) -> &'static str {
        if self == Self::Rich { "\x1b[1;31m" } else { "" }
    }

    /// Starts the color of warnings.
    pub(crate) fn warning(self) -> &'static str {
        if self == Self::Rich { "\x1b[1;33m" } else { "" }
    }

    /// Starts dim text.
    pub(crate) fn dim(self) -> &'static str {
        if self == Self::Rich { "\x1b[2m" } else { "" }
    }

    /// Ends it.
    pub(crate) fn reset(self) -> &'static str {
        if self == Self::Rich { "\x1b[0m" } else { "" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_colour_wins_over_everything() {
        assert_eq!(Style::choose(true, false, false), Style::Rich);
        assert_eq!(Style::choose(false, false, true), Style::Rich);
        assert_eq!(Style::choose(false, false, false), Style::Plain);
        assert_eq!(Style::choose(true, true, true), Style::Plain);
    }
}
