//! An answer on the screen while it is written: the text on stdout, thinking on stderr.

use std::io::{self, Write};
use std::time::Instant;

use clap::ValueEnum;
use ggrun::session::ChatEvent;

use crate::cli::ui::style::Style;
use crate::cli::ui::text;

/// The form of thinking on the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Thinking {
    /// Like other text
    Show,
    /// Dimmed, on a terminal
    Dim,
    /// One line with its length
    Fold,
    /// Not at all
    Hide,
}

/// The last part that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wrote {
    Nothing,
    Reasoning,
    Content,
}

/// An answer on the screen.
pub(crate) struct Show<'a> {
    pub(crate) out: &'a mut dyn Write,
    err: &'a mut dyn Write,
    thinking: Thinking,
    pub(crate) style: Style,
    /// Whether a line on stderr can be overwritten.
    live: bool,
    wrote: Wrote,
    begun: Instant,
    words: usize,
    /// Whether the next letter of the reasoning begins a word.
    between_words: bool,
}

impl Thinking {
    /// Its name on the command line.
    pub(crate) fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

impl<'a> Show<'a> {
    pub(crate) fn new(
        out: &'a mut dyn Write,
        err: &'a mut dyn Write,
        thinking: Thinking,
        style: Style,
    ) -> Self {
        let live = style == Style::Rich && crate::cli::ui::err::is_terminal();
        Self {
            out,
            err,
            thinking,
            style,
            live,
            wrote: Wrote::Nothing,
            begun: Instant::now(),
            words: 0,
            between_words: true,
        }
    }

    /// Shows an event as it comes.
    pub(crate) fn event(&mut self, event: &ChatEvent) -> io::Result<()> {
        match event {
            ChatEvent::Reasoning(text) => {
                if self.wrote == Wrote::Nothing {
                    self.begun = Instant::now();
                }
                self.wrote = Wrote::Reasoning;
                self.think(text);
                Ok(())
            }
            ChatEvent::ToolCall(call) => {
                let line = if self.wrote == Wrote::Content { "\n" } else { "" };
                self.write(&format!("{line}{}", serde_json::to_string(&call.function)?))
            }
            ChatEvent::Content(text) => self.write(text),
            ChatEvent::Progress { .. } | ChatEvent::Finished { .. } | ChatEvent::Failed(_) => Ok(()),
        }
    }

    fn write(&mut self, text: &str) -> io::Result<()> {
        if self.wrote == Wrote::Reasoning {
            self.close_thinking();
        }
        self.wrote = Wrote::Content;
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }

    /// Ends the last part. True if an empty line is left after it.
    pub(crate) fn finish(&mut self) -> io::Result<bool> {
        match self.wrote {
            Wrote::Nothing => {}
            Wrote::Reasoning => self.close_thinking(),
            Wrote::Content => self.out.write_all(b"\n").and_then(|()| self.out.flush())?,
        }
        Ok(self.wrote == Wrote::Reasoning && self.thinking != Thinking::Hide)
    }

    fn think(&mut self, text: &str) {
        for character in text.chars() {
            self.words += usize::from(self.between_words && !character.is_whitespace());
            self.between_words = character.is_whitespace();
        }
        match self.thinking {
            Thinking::Show => self.aside(text),
            Thinking::Dim => self.dim(text),
            Thinking::Fold if self.live => self.dim(&format!("\r\x1b[Kthinking: {}", self.length())),
            Thinking::Fold | Thinking::Hide => {}
        }
    }

    fn close_thinking(&mut self) {
        match self.thinking {
            Thinking::Hide => {}
            Thinking::Show | Thinking::Dim => self.aside("\n\n"),
            Thinking::Fold => {
                let over = if self.live { "\r\x1b[K" } else { "" };
                let time = self.begun.elapsed().as_secs_f64();
                self.dim(&format!("{over}thinking: {} in {time:.1} s", self.length()));
                self.aside("\n\n");
            }
        }
    }

    fn length(&self) -> String {
        text::plural(self.words as u64, "word")
    }

    fn dim(&mut self, text: &str) {
        self.aside(&format!("{}{text}{}", self.style.dim(), self.style.reset()));
    }

    /// Writes to stderr. An answer does not end because stderr is closed.
    pub(crate) fn aside(&mut self, text: &str) {
        drop(self.err.write_all(text.as_bytes()).and_then(|()| self.err.flush()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(thinking: Thinking, live: bool) -> (String, String) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut show = Show::new(&mut out, &mut err, thinking, Style::Plain);
        show.live = live;
        for piece in ["so ma", "ny ", "wo", "rds"] {
            show.event(&ChatEvent::Reasoning(piece.into())).unwrap();
        }
        show.event(&ChatEvent::Content("42".into())).unwrap();
        show.finish().unwrap();
        (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }

    #[test]
    fn the_answer_is_on_stdout_however_thinking_is_shown() {
        for thinking in [Thinking::Show, Thinking::Dim, Thinking::Fold, Thinking::Hide] {
            assert_eq!(shown(thinking, true).0, "42\n");
        }
    }

    #[test]
    fn thinking_is_shown_folded_or_hidden() {
        assert_eq!(shown(Thinking::Show, true).1, "so many words\n\n");
        assert_eq!(shown(Thinking::Hide, true).1, "");
        let folded = shown(Thinking::Fold, false).1;
        assert!(folded.starts_with("thinking: 3 words in 0.0 s\n"), "{folded:?}");
        assert!(shown(Thinking::Fold, true).1.contains("\r\x1b[Kthinking: 2 words"));
    }
}
