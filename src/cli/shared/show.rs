//! An answer on the screen while it is written: the text on stdout, thinking on stderr.

use std::io;
use std::time::Instant;

use clap::ValueEnum;
use ggrun::engine::Rules;
use ggrun::session::ChatEvent;

use crate::cli::ui::err;
use crate::cli::ui::markdown::Markdown;
use crate::cli::ui::out;
use crate::cli::ui::stream::Stream;
use crate::cli::ui::style::{ERASE_LINE, Face, Style, Verbatim};
use crate::cli::ui::text;
use crate::cli::ui::wait::{Wait, Work};
use crate::cli::ui::wrap::Wrap;

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

/// What is done with the text of the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Written as it is, to terminals too.
    Raw,
    /// Written as it is, but for control characters on a terminal.
    Plain,
    /// Rendered on a terminal.
    Markdown,
}

impl Form {
    /// By the option `--raw`. An answer that follows a grammar or a schema is not Markdown.
    pub(crate) fn of(raw: bool, rules: Option<&Rules>) -> Self {
        match (raw, rules) {
            (true, _) => Self::Raw,
            (false, Some(_)) => Self::Plain,
            (false, None) => Self::Markdown,
        }
    }
}

/// An answer on the screen.
pub(crate) struct Show<'a> {
    pub(crate) out: &'a mut dyn Stream,
    err: &'a mut dyn Stream,
    thinking: Thinking,
    form: Form,
    style: Style,
    /// Whether stderr is a terminal, where a line can be overwritten.
    live: bool,
    /// The bar while the prompt is read.
    wait: Wait,
    wrote: Wrote,
    begun: Instant,
    words: Words,
    /// Breaks the lines of thinking.
    wrap: Wrap,
    /// Renders the content.
    markdown: Option<Markdown>,
}

impl Thinking {
    /// Its name on the command line.
    pub(crate) fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

impl<'a> Show<'a> {
    pub(crate) fn new(
        to: &'a mut dyn Stream,
        err: &'a mut dyn Stream,
        thinking: Thinking,
        form: Form,
        style: Style,
    ) -> Self {
        let live = style == Style::Rich && err::is_terminal();
        let renders = form == Form::Markdown && Style::of_stdout() == Style::Rich && out::is_terminal();
        Self {
            out: to,
            err,
            thinking,
            form,
            style,
            live,
            wait: Wait::new(Work::Prompt),
            wrote: Wrote::Nothing,
            begun: Instant::now(),
            words: Words::default(),
            wrap: Wrap::new(err::columns(), style),
            markdown: renders.then(|| Markdown::new(out::width())),
        }
    }

    /// Shows an event as it comes.
    pub(crate) fn event(&mut self, event: &ChatEvent) -> io::Result<()> {
        self.reading(event);
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
                if self.wrote == Wrote::Content {
                    self.write("\n")?;
                }
                self.end_markdown()?;
                self.write(&serde_json::to_string(&call.function)?)
            }
            ChatEvent::Content(text) => self.write(text),
            ChatEvent::Progress { .. } | ChatEvent::Finished { .. } | ChatEvent::Failed(_) => Ok(()),
        }
    }

    /// Shows how much of the prompt is read, and nothing of the answer.
    pub(crate) fn reading(&self, event: &ChatEvent) {
        self.wait.follow(event);
    }

    fn write(&mut self, text: &str) -> io::Result<()> {
        if self.wrote == Wrote::Reasoning {
            self.close_thinking();
        }
        self.wrote = Wrote::Content;
        match (&mut self.markdown, self.form) {
            (Some(markdown), _) => markdown.push(text, self.out)?,
            (None, Form::Raw) => self.out.verbatim(Verbatim::raw(text))?,
            (None, Form::Plain | Form::Markdown) => self.out.write_all(text.as_bytes())?,
        }
        self.out.flush()
    }

    /// Ends the last part. True if an empty line is left after it.
    pub(crate) fn finish(&mut self) -> io::Result<bool> {
        self.wait.end();
        match self.wrote {
            Wrote::Nothing => {}
            Wrote::Reasoning => self.close_thinking(),
            Wrote::Content => {
                self.end_markdown()?;
                self.out.write_all(b"\n")?;
                self.out.flush()?;
            }
        }
        Ok(self.wrote == Wrote::Reasoning && self.thinking != Thinking::Hide)
    }

    /// Writes the rest of the Markdown. What follows is written as it is.
    fn end_markdown(&mut self) -> io::Result<()> {
        match self.markdown.take() {
            Some(mut markdown) => markdown.finish(self.out),
            None => Ok(()),
        }
    }

    fn think(&mut self, text: &str) {
        self.words.push(text);
        let face = match self.thinking {
            Thinking::Show => Face::PLAIN,
            Thinking::Dim => Face::DIM,
            Thinking::Fold if self.live => return self.fold(&format!("thinking: {}", self.words.shown())),
            Thinking::Fold | Thinking::Hide => return,
        };
        // An answer does not end because stderr is closed.
        drop(match self.form {
            Form::Plain | Form::Markdown if err::is_terminal() => self.wrap.push(face, text, self.err),
            Form::Plain | Form::Markdown => self.err.faced(self.style, face, text),
            Form::Raw => self.err.verbatim(Verbatim::raw(text)),
        });
    }

    fn close_thinking(&mut self) {
        match self.thinking {
            Thinking::Hide => {}
            Thinking::Show | Thinking::Dim => {
                drop(self.wrap.flush(self.err));
                self.wrap = Wrap::new(err::columns(), self.style);
                self.aside("\n\n");
            }
            Thinking::Fold => {
                let time = self.begun.elapsed().as_secs_f64();
                self.fold(&format!("thinking: {} in {time:.1} s", self.words.shown()));
                self.aside("\n\n");
            }
        }
    }

    /// Overwrites the line.
    fn fold(&mut self, line: &str) {
        if self.live {
            drop(self.err.verbatim(ERASE_LINE));
        }
        self.dim(line);
    }

    fn dim(&mut self, text: &str) {
        drop(self.err.dimmed(self.style, text).and_then(|()| self.err.flush()));
    }

    /// Writes a message to stderr, which does not end an answer if it is closed.
    pub(crate) fn say(&mut self, text: &str) {
        let mut wrap = Wrap::new(err::columns(), self.style);
        drop(wrap.push(Face::DIM, text, self.err).and_then(|()| self.err.flush()));
    }

    /// Writes to stderr. An answer does not end because stderr is closed.
    fn aside(&mut self, text: &str) {
        drop(self.err.write_all(text.as_bytes()).and_then(|()| self.err.flush()));
    }
}

/// Counts words in text that arrives in pieces.
#[derive(Debug, Default)]
struct Words {
    count: u64,
    /// Whether the text ends inside a word.
    inside: bool,
}

impl Words {
    fn push(&mut self, text: &str) {
        for c in text.chars() {
            self.count += u64::from(!self.inside && !c.is_whitespace());
            self.inside = !c.is_whitespace();
        }
    }

    fn shown(&self) -> String {
        text::plural(self.count, "word")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(thinking: Thinking, form: Form, live: bool) -> (String, String) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut show = Show::new(&mut out, &mut err, thinking, form, Style::Plain);
        show.live = live;
        for piece in ["so ", "ma", "ny", " ", "words"] {
            show.event(&ChatEvent::Reasoning(piece.into())).unwrap();
        }
        show.event(&ChatEvent::Content("42".into())).unwrap();
        show.finish().unwrap();
        drop(show);
        (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }

    #[test]
    fn the_answer_is_on_stdout_however_thinking_is_shown() {
        for thinking in [Thinking::Show, Thinking::Dim, Thinking::Fold, Thinking::Hide] {
            assert_eq!(shown(thinking, Form::Plain, true).0, "42\n");
            assert_eq!(shown(thinking, Form::Raw, false).0, "42\n");
        }
    }

    #[test]
    fn thinking_is_shown_folded_or_hidden() {
        assert_eq!(shown(Thinking::Show, Form::Plain, false).1, "so many words\n\n");
        assert_eq!(shown(Thinking::Show, Form::Plain, true).1, "so many words\n\n");
        assert_eq!(shown(Thinking::Dim, Form::Raw, true).1, "so many words\n\n");
        assert_eq!(shown(Thinking::Hide, Form::Plain, true).1, "");
    }

    #[test]
    fn folded_thinking_counts_whole_words() {
        let folded = shown(Thinking::Fold, Form::Plain, false).1;
        assert!(folded.starts_with("thinking: 3 words in 0.0 s\n"), "{folded:?}");
        assert!(shown(Thinking::Fold, Form::Plain, true).1.contains("\r\x1b[Kthinking: 2 words"));
    }
}
