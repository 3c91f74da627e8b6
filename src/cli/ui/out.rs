//! Standard output, which is data.
//!
//! A command whose reader closed standard output ends with success. That error is created only here, so that no other
//! broken connection counts as success.

use std::io::{self, ErrorKind, IsTerminal as _, Write};

use super::escape::{Escaper, except_colours};
use super::stream::Stream;
use super::style::Verbatim;

/// Standard output cannot be written to.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to standard output")]
struct Failed {
    source: io::Error,
}

/// A stream to standard output.
#[derive(Debug)]
pub(crate) struct Out<W: Write> {
    to: W,
    /// On a terminal.
    escaper: Option<Escaper>,
}

/// Standard output.
pub(crate) fn stdout() -> Out<io::Stdout> {
    Out::new(io::stdout())
}

/// Whether standard output is a terminal.
pub(crate) fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Columns of the terminal.
pub(crate) fn width() -> usize {
    console::Term::stdout().size().1.into()
}

/// Writes data to standard output.
///
/// # Errors
///
/// When it cannot be written, or is closed: see [`is_closed`].
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut out = Out::new(io::stdout().lock());
    out.write_all(text.as_bytes())?;
    out.finish()
}

/// Prints clap's text, which has colors.
///
/// # Errors
///
/// Those of [`print`].
pub(crate) fn print_coloured(text: &str) -> io::Result<()> {
    let mut out = Out::new(io::stdout().lock());
    out.verbatim(Verbatim::raw(&except_colours(text)))?;
    out.finish()
}

/// Prints the result of a command. A closed standard output is not an error here, so that the outcome sets the exit code.
///
/// # Errors
///
/// When it cannot be written.
pub(crate) fn print_result(text: &str) -> io::Result<()> {
    match print(text) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// Whether an error says that standard output is closed.
pub(crate) fn is_closed(error: &anyhow::Error) -> bool {
    failures(error).any(|error| error.kind() == ErrorKind::BrokenPipe)
}

/// Whether an error says that standard output cannot be written to, closed or not.
pub(crate) fn is_failed(error: &anyhow::Error) -> bool {
    failures(error).next().is_some()
}

fn failures(error: &anyhow::Error) -> impl Iterator<Item = &io::Error> {
    let failed =
        |error: &&io::Error| error.get_ref().and_then(|inner| inner.downcast_ref::<Failed>()).is_some();
    error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>()).filter(failed)
}

impl<W: Write> Out<W> {
    fn new(to: W) -> Self {
        Self { to, escaper: is_terminal().then(Escaper::default) }
    }

    /// Writes what is left of an incomplete character.
    fn finish(&mut self) -> io::Result<()> {
        let held = self.escaper.as_mut().map(Escaper::finish).unwrap_or_default();
        self.to.write_all(held.as_bytes()).and_then(|()| self.to.flush()).map_err(typed)
    }
}

impl<W: Write> Write for Out<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.escaper {
            None => self.to.write(bytes).map_err(typed),
            Some(escaper) => {
                self.to.write_all(escaper.push(bytes).as_bytes()).map_err(typed)?;
                Ok(bytes.len())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush().map_err(typed)
    }
}

impl<W: Write> Stream for Out<W> {
    fn verbatim(&mut self, text: Verbatim<'_>) -> io::Result<()> {
        let held = self.escaper.as_mut().map(Escaper::finish).unwrap_or_default();
        self.to.write_all((held + text.as_str()).as_bytes()).map_err(typed)
    }
}

fn typed(source: io::Error) -> io::Error {
    io::Error::new(source.kind(), Failed { source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::ui::style::Style;

    /// A stream whose writes fail.
    struct Failing(ErrorKind);

    impl Write for Failing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(self.0.into())
        }
    }

    fn closed() -> Out<Failing> {
        Out { to: Failing(ErrorKind::BrokenPipe), escaper: None }
    }

    #[test]
    fn a_terminal_gets_escapes_a_pipe_the_bytes_and_both_get_styles() {
        for (escaper, expected) in [
            (Some(Escaper::default()), "\x1b[2m\\u{1b}[2J\\u{9b}\x1b[0m"),
            (None, "\x1b[2m\x1b[2J\u{9b}\x1b[0m"),
        ] {
            let mut out = Out { to: Vec::new(), escaper };
            out.verbatim(Style::Rich.dim()).unwrap();
            out.write_all(b"\x1b[2J\xc2").unwrap();
            out.write_all(b"\x9b").unwrap();
            out.verbatim(Style::Rich.reset()).unwrap();
            assert_eq!(String::from_utf8(out.to).unwrap(), expected);
        }
    }

    #[test]
    fn only_a_closed_standard_output_is_one_however_it_is_wrapped() {
        let written =
            |kind| anyhow::Error::from(Out { to: Failing(kind), escaper: None }.write_all(b"x").unwrap_err());
        assert!(is_closed(&written(ErrorKind::BrokenPipe).context("cannot print the result")));
        assert!(is_closed(&closed().flush().unwrap_err().into()));
        let json = serde_json::to_writer(closed(), &1).unwrap_err();
        assert!(is_closed(&io::Error::from(json).into()));
        let full = written(ErrorKind::StorageFull);
        assert!(is_failed(&full) && !is_closed(&full));
        assert!(!is_failed(&io::Error::from(ErrorKind::StorageFull).into()), "of a file");
        assert!(!is_closed(&io::Error::from(ErrorKind::BrokenPipe).into()), "of a socket or a file");
    }
}
