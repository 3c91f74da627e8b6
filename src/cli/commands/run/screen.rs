//! The answer on stdout, thinking and summary on stderr.

use std::io::{self, Write};

use ggrun::session::{Answer, ChatEvent};

use super::args::{RunArgs, Thinking};
use crate::cli::shared::json;
use crate::cli::shared::summary::summary;
use crate::cli::ui::style::Style;

/// The last part that was written, to separate thinking and answer on a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wrote {
    Nothing,
    Reasoning,
    Content,
}

/// The two streams of a run.
pub(super) struct Screen<'a> {
    out: &'a mut dyn Write,
    err: &'a mut dyn Write,
    args: &'a RunArgs,
    style: Style,
    wrote: Wrote,
}

impl<'a> Screen<'a> {
    pub(super) fn new(
        out: &'a mut dyn Write,
        err: &'a mut dyn Write,
        args: &'a RunArgs,
        style: Style,
    ) -> Self {
        Self { out, err, args, style, wrote: Wrote::Nothing }
    }

    /// Shows an event as it comes.
    pub(super) fn event(&mut self, event: &ChatEvent) -> io::Result<()> {
        match event {
            _ if self.args.json => Ok(()),
            ChatEvent::Reasoning(_) if self.args.thinking == Thinking::Hide => Ok(()),
            ChatEvent::Reasoning(text) => {
                let style = if self.args.thinking == Thinking::Dim { self.style } else { Style::Plain };
                self.wrote = Wrote::Reasoning;
                self.aside(&format!("{}{text}{}", style.dim(), style.reset()));
                Ok(())
            }
            ChatEvent::Content(text) => self.say(text),
            ChatEvent::ToolCall(call) => {
                let line = if self.wrote == Wrote::Content { "\n" } else { "" };
                self.say(&format!("{line}{}", serde_json::to_string(&call.function)?))
            }
            ChatEvent::Progress { .. } | ChatEvent::Finished { .. } | ChatEvent::Failed(_) => Ok(()),
        }
    }

    fn say(&mut self, text: &str) -> io::Result<()> {
        if self.wrote == Wrote::Reasoning {
            self.aside("\n\n");
        }
        self.wrote = Wrote::Content;
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }

    /// Shows the end of the answer.
    pub(super) fn finish(&mut self, prompt: &str, answer: &Answer, seed: u32) -> anyhow::Result<()> {
        if self.args.json {
            json::write(self.out, prompt, answer, seed)?;
            self.out.flush()?;
            return Ok(());
        }
        match self.wrote {
            Wrote::Nothing => {}
            Wrote::Reasoning => self.aside("\n"),
            Wrote::Content => self.out.write_all(b"\n")?,
        }
        self.out.flush()?;
        self.aside(&format!("\n{}{}{}\n", self.style.dim(), summary(answer), self.style.reset()));
        Ok(())
    }

    /// Writes to stderr. An answer does not end because stderr is closed.
    fn aside(&mut self, text: &str) {
        drop(self.err.write_all(text.as_bytes()).and_then(|()| self.err.flush()));
    }
}
