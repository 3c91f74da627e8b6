//! The one question that ggrun asks: whether something may go.

use std::io::{BufRead, IsTerminal, Write};

use super::err::Stderr;
use super::text::printable;
use crate::cli::error::Unasked;

/// Asks on the terminal; only `y` and `yes` mean it.
///
/// # Errors
///
/// [`Unasked`] without a terminal.
pub(crate) fn may(question: &str) -> anyhow::Result<bool> {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Err(Unasked.into());
    }
    let mut to = Stderr;
    write!(to, "{} [y/N] ", printable(question))?;
    to.flush()?;
    let mut answer = String::new();
    if std::io::stdin().lock().read_line(&mut answer)? == 0 {
        writeln!(to)?;
    }
    Ok(["y", "yes"].contains(&answer.trim().to_lowercase().as_str()))
}
