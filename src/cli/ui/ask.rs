//! Asks for confirmation.

use std::io::{BufRead, IsTerminal, Write};

use super::err;
use super::escape::printable;
use crate::cli::error::Unasked;

/// Asks on the terminal; only `y` and `yes` confirm.
///
/// # Errors
///
/// [`Unasked`] without a terminal.
pub(crate) fn may(question: &str) -> anyhow::Result<bool> {
    if !is_possible() {
        return Err(Unasked.into());
    }
    let mut to = err::stderr();
    write!(to, "{} [y/N] ", printable(question))?;
    to.flush()?;
    let mut answer = String::new();
    if std::io::stdin().lock().read_line(&mut answer)? == 0 {
        writeln!(to)?;
    }
    Ok(["y", "yes"].contains(&answer.trim().to_lowercase().as_str()))
}

/// Whether there is a terminal to ask on.
pub(crate) fn is_possible() -> bool {
    std::io::stdin().is_terminal() && err::is_terminal()
}
