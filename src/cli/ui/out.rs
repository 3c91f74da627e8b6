//! Standard output, which is data.
//!
//! A command whose reader closed standard output ends with success. That error is created only here, so that no other
//! broken connection counts as success.

use std::io::{self, ErrorKind, IsTerminal as _, Write};

/// Standard output cannot be written to.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to standard output")]
struct Failed {
    source: io::Error,
}

/// A stream to standard output.
#[derive(Debug)]
pub(crate) struct Out<W>(W);

/// Standard output.
pub(crate) fn stdout() -> Out<io::Stdout> {
    Out(io::stdout())
}

/// Whether standard output is a terminal.
pub(crate) fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Writes data to standard output.
///
/// # Errors
///
/// When it cannot be written, or is closed: see [`is_closed`].
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut out = Out(io::stdout().lock());
    out.write_all(text.as_bytes())?;
    out.flush()
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

impl<W: Write> Write for Out<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).map_err(typed)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush().map_err(typed)
    }
}

fn typed(source: io::Error) -> io::Error {
    io::Error::new(source.kind(), Failed { source })
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn only_a_closed_standard_output_is_one_however_it_is_wrapped() {
        let written = |kind| anyhow::Error::from(Out(Failing(kind)).write_all(b"x").unwrap_err());
        assert!(is_closed(&written(ErrorKind::BrokenPipe).context("cannot print the result")));
        assert!(is_closed(&Out(Failing(ErrorKind::BrokenPipe)).flush().unwrap_err().into()));
        let json = serde_json::to_writer(Out(Failing(ErrorKind::BrokenPipe)), &1).unwrap_err();
        assert!(is_closed(&io::Error::from(json).into()));
        let full = written(ErrorKind::StorageFull);
        assert!(is_failed(&full) && !is_closed(&full));
        assert!(!is_failed(&io::Error::from(ErrorKind::StorageFull).into()), "of a file");
        assert!(!is_closed(&io::Error::from(ErrorKind::BrokenPipe).into()), "of a socket or a file");
    }
}
