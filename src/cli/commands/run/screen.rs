//! The answer on stdout, thinking and summary on stderr; or one JSON object.

use std::io;

use ggrun::engine::Rules;
use ggrun::session::{Answer, ChatEvent};

use super::args::RunArgs;
use crate::cli::shared::json;
use crate::cli::shared::show::{Form, Show};
use crate::cli::shared::summary::summary;
use crate::cli::ui::stream::Stream;
use crate::cli::ui::style::Style;

/// The two streams of a run.
pub(super) struct Screen<'a> {
    json: bool,
    show: Show<'a>,
}

impl<'a> Screen<'a> {
    pub(super) fn new(
        out: &'a mut dyn Stream,
        err: &'a mut dyn Stream,
        args: &RunArgs,
        rules: Option<&Rules>,
        style: Style,
    ) -> Self {
        // A text to continue may be of any kind.
        let form = match Form::of(args.answer.raw, rules) {
            Form::Markdown if args.no_conversation => Form::Plain,
            form => form,
        };
        Self { json: args.json, show: Show::new(out, err, args.thinking.into(), form, style) }
    }

    /// Shows an event as it comes.
    pub(super) fn event(&mut self, event: &ChatEvent) -> io::Result<()> {
        if self.json {
            self.show.reading(event);
            return Ok(());
        }
        self.show.event(event)
    }

    /// Shows what there is of an answer that does not end.
    pub(super) fn break_off(&mut self) {
        if !self.json {
            // The error that ended it is reported.
            drop(self.show.finish());
        }
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
        show.say(&format!("{gap}{}\n", summary(answer)));
        Ok(())
    }
}
