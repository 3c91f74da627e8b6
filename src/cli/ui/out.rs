//! Standard output, which is data.

/// Writes data to standard output; a closed pipe ends the command quietly, through its error.
pub(crate) fn print(text: &str) -> std::io::Result<()> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
