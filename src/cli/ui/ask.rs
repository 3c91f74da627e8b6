//! Asks for confirmation before something is removed.

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
    if !std::io::stdin().is_terminal() || !err::is_terminal() {
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
