//! The answer on stdout, thinking and summary on stderr; or one JSON object.

use std::io::{self, Write};

use ggrun::session::{Answer, ChatEvent};

use super::args::RunArgs;
use crate::cli::shared::json;
use crate::cli::shared::show::Show;
use crate::cli::shared::summary::summary;
use crate::cli::ui::style::Style;

/// The two streams of a run.
pub(super) struct Screen<'a> {
    json: bool,
    show: Show<'a>,
}

impl<'a> Screen<'a> {
    pub(super) fn new(out: &'a mut dyn Write, err: &'a mut dyn Write, args: &RunArgs, style: Style) -> Self {
        Self { json: args.json, show: Show::new(out, err, args.thinking.into(), style) }
    }

    /// Shows an event as it comes.
    pub(super) fn event(&mut self, event: &ChatEvent) -> io::Result<()> {
        if self.json { Ok(()) } else { self.show.event(event) }
    }

    /// Shows the end of the answer.
    pub(super) fn finish(&mut self, prompt: &str, answer: &Answer, seed: u32) -> anyhow::Result<()> {
        let show = &mut self.show;
        if self.json {
            json::write(show.out, prompt, answer, seed)?;
            show.out.flush()?;
            return Ok(());
        }
        let gap = if show.finish()? { "" } else { "\n" };
        let style = show.style;
        show.aside(&format!("{gap}{}{}{}\n", style.dim(), summary(answer), style.reset()));
        Ok(())
    }
}
