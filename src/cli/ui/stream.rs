//! A stream that a command writes an answer or messages to.

use std::io::{self, Write};

use super::style::{Face, Style, Verbatim};

/// A stream of the process. What is written to it is text, which cannot control a terminal: see [`super::escape`].
pub(crate) trait Stream: Write {
    /// Writes a text as it is.
    fn verbatim(&mut self, text: Verbatim<'_>) -> io::Result<()>;

    /// Writes dimmed text.
    fn dimmed(&mut self, style: Style, text: &str) -> io::Result<()> {
        self.faced(style, Face::DIM, text)
    }

    /// Writes text with a face.
    fn faced(&mut self, style: Style, face: Face, text: &str) -> io::Result<()> {
        self.change(style, Face::PLAIN, face)?;
        self.write_all(text.as_bytes())?;
        self.change(style, face, Face::PLAIN)
    }

    /// Changes the face of what is written next.
    fn change(&mut self, style: Style, from: Face, to: Face) -> io::Result<()> {
        if style == Style::Plain || from == to {
            return Ok(());
        }
        if from != Face::PLAIN {
            self.verbatim(style.reset())?;
        }
        if to == Face::PLAIN { Ok(()) } else { self.verbatim(Verbatim::raw(&to.sequence())) }
    }
}

/// Like a pipe.
#[cfg(test)]
impl Stream for Vec<u8> {
    fn verbatim(&mut self, text: Verbatim<'_>) -> io::Result<()> {
        self.write_all(text.as_str().as_bytes())
    }
}
