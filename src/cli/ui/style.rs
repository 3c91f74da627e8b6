//! Colors on a terminal, and other text that is written to it as it is. Color never carries meaning.

use std::env;
use std::io::{self, IsTerminal as _};
use std::sync::atomic::{AtomicU8, Ordering};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::when::When;

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
        Self::of(io::stderr().is_terminal())
    }

    /// For standard output.
    pub(crate) fn of_stdout() -> Self {
        Self::of(io::stdout().is_terminal())
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

    fn sequence(self, text: &'static str) -> Verbatim<'static> {
        Verbatim(if self == Self::Rich { text } else { "" })
    }

    /// Starts the color of errors.
    pub(crate) fn error(self) -> Verbatim<'static> {
        self.sequence("\x1b[1;31m")
    }

    /// Starts the color of warnings.
    pub(crate) fn warning(self) -> Verbatim<'static> {
        self.sequence("\x1b[1;33m")
    }

    /// Starts dim text.
    pub(crate) fn dim(self) -> Verbatim<'static> {
        self.sequence("\x1b[2m")
    }

    /// Ends it.
    pub(crate) fn reset(self) -> Verbatim<'static> {
        self.sequence("\x1b[0m")
    }
}

/// How text looks: any of bold, italic and so on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Face(u8);

impl Face {
    pub(crate) const PLAIN: Self = Self(0);
    pub(crate) const BOLD: Self = Self(1);
    pub(crate) const DIM: Self = Self(2);
    pub(crate) const ITALIC: Self = Self(4);
    pub(crate) const UNDERLINE: Self = Self(8);
    pub(crate) const STRUCK: Self = Self(16);
    pub(crate) const CODE: Self = Self(32);
    const CODES: [(Self, &str); 6] = [
        (Self::BOLD, "1"),
        (Self::DIM, "2"),
        (Self::ITALIC, "3"),
        (Self::UNDERLINE, "4"),
        (Self::STRUCK, "9"),
        (Self::CODE, "36"),
    ];

    /// Both.
    pub(crate) fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The sequence that begins it.
    pub(super) fn sequence(self) -> String {
        let codes = Self::CODES.iter().filter(|(face, _)| self.0 & face.0 != 0).map(|(_, code)| *code);
        format!("\x1b[{}m", codes.collect::<Vec<_>>().join(";"))
    }
}

/// Erases the current line.
pub(crate) const ERASE_LINE: Verbatim<'static> = Verbatim("\r\x1b[K");

/// The sequence that puts a text into the clipboard of a terminal: OSC 52.
pub(crate) fn clipboard(text: &str) -> String {
    format!("\x1b]52;c;{}\x07", BASE64_STANDARD.encode(text))
}

/// Text that is written to a terminal as it is. A style is one; text from outside is one only by request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Verbatim<'a>(&'a str);

impl<'a> Verbatim<'a> {
    /// Text that the user asked to see as it is, with `--raw`.
    pub(crate) fn raw(text: &'a str) -> Self {
        Self(text)
    }

    pub(super) fn as_str(self) -> &'a str {
        self.0
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
