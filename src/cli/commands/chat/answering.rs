//! One answer of a conversation.

use ggrun::chat::ToolCall;
use ggrun::engine::FinishReason;
use ggrun::session::Answer;

use super::conversation::Chat;
use crate::cli::error::Interrupted;
use crate::cli::shared::answer::answer;
use crate::cli::shared::show::{Form, Show};
use crate::cli::shared::summary::summary;
use crate::cli::shared::{json, seed};
use crate::cli::ui::err::is_quiet;
use crate::cli::ui::out::is_failed;
use crate::cli::ui::style::Style;

impl Chat<'_> {
    /// Generates one answer, or calls that wait for their results. An error removes the question; the conversation
    /// stays.
    pub(super) fn turn(&mut self) -> anyhow::Result<Option<Vec<ToolCall>>> {
        let asked = self.generate();
        let answer = match asked {
            Ok(answer) => answer,
            Err(error) if is_failed(&error) => return Err(error),
            Err(error) => {
                self.talk.undo();
                self.complain(&error);
                return Ok(None);
            }
        };
        if answer.reason == FinishReason::Cancelled {
            if !self.source.is_terminal() || self.interrupt.is_final() {
                return Err(Interrupted.into());
            }
            self.interrupted = true;
            self.interrupt.clear();
        }
        let calls = answer.tool_calls.clone();
        if answer.reasoning.is_empty() && answer.content.is_empty() && calls.is_empty() {
            self.talk.undo();
            self.say("no answer; the question is removed");
            return Ok(None);
        }
        self.talk.answered(answer.reasoning.clone(), answer.content.clone(), calls.clone());
        self.unsaved = true;
        if !self.args.json && !is_quiet() {
            self.say(&summary(&answer));
            self.aside("\n");
        }
        let waits = !calls.is_empty() && answer.reason == FinishReason::Stop;
        self.last = Some(answer);
        if waits {
            return Ok(Some(calls));
        }
        if let Some(name) = &self.args.session
            && let Err(error) = self.write(name)
        {
            self.complain(&error);
        }
        Ok(None)
    }

    fn generate(&mut self) -> anyhow::Result<Answer> {
        let request = self.request(seed::random());
        let seed = request.sampling.seed;
        let question = request.messages.last().map(|message| message.content.text()).unwrap_or_default();
        let chat = self.opened.session.chat(request)?;
        let form = Form::of(self.args.answer.raw);
        let mut show = Show::new(self.out, self.err, self.thinking, form, Style::of_stderr());
        if self.args.json {
            let answer = answer(chat, &self.interrupt, |event| {
                show.reading(event);
                Ok(())
            })?;
            drop(show);
            json::write(self.out, &question, &answer, seed)?;
            self.out.flush()?;
            return Ok(answer);
        }
        let answer = answer(chat, &self.interrupt, |event| Ok(show.event(event)?));
        show.finish()?;
        answer
    }
}
