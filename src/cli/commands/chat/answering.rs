//! Answers in a conversation.

use ggrun::chat::ToolCall;
use ggrun::engine::FinishReason;
use ggrun::session::{Answer, Seed};

use super::conversation::Chat;
use super::talk::Talk;
use crate::cli::error::Interrupted;
use crate::cli::shared::answer::answer;
use crate::cli::shared::json;
use crate::cli::shared::show::{Form, Show};
use crate::cli::shared::summary::summary;
use crate::cli::ui::err::is_quiet;
use crate::cli::ui::out::is_failed;
use crate::cli::ui::style::Style;

/// What became of a question.
enum Turn {
    Answered,
    /// The model waits for the results of these calls.
    Calls(Vec<ToolCall>),
    /// There is no answer, for the reason that was written.
    Failed,
}

impl Chat<'_> {
    /// Asks a question, after the files that were read.
    pub(super) fn ask(&mut self, text: &str) -> anyhow::Result<()> {
        let attached = std::mem::take(&mut self.attached);
        let question = attached.iter().map(String::as_str).chain([text]).collect::<Vec<_>>().join("\n\n");
        if !self.attempt(|talk| talk.ask(&question))? {
            self.say("the question is removed; /retry asks it again");
            self.failed = Some(question);
        }
        Ok(())
    }

    /// Answers the last question again, or the one that failed after it.
    pub(super) fn regen(&mut self) -> anyhow::Result<()> {
        if let Some(question) = self.failed.take() {
            return self.ask(&question);
        }
        if self.talk.question().is_none() {
            self.say("no question to answer again");
        } else if !self.attempt(Talk::regen)? {
            self.say("the previous answer is kept");
        }
        Ok(())
    }

    /// Asks something else in place of the last question, which one that failed is not part of.
    pub(super) fn edit(&mut self, text: &str) -> anyhow::Result<()> {
        if self.failed.take().is_some() || self.talk.question().is_none() {
            return self.ask(text);
        }
        let replace = |talk: &mut Talk| {
            talk.undo();
            talk.ask(text);
        };
        if !self.attempt(replace)? {
            self.say("the previous question and answer are kept");
        }
        Ok(())
    }

    /// Changes the conversation and answers its last question. Without an answer the conversation is as before, and the
    /// result is false.
    fn attempt(&mut self, change: impl FnOnce(&mut Talk)) -> anyhow::Result<bool> {
        let before = self.talk.clone();
        self.failed = None;
        change(&mut self.talk);
        let answered = self.answer();
        if !matches!(answered, Ok(true)) {
            self.talk = before;
        }
        answered
    }

    /// Answers the last question, with the results of the functions that the model calls. False without an answer.
    fn answer(&mut self) -> anyhow::Result<bool> {
        loop {
            match self.turn()? {
                Turn::Answered => return Ok(true),
                Turn::Failed => return Ok(false),
                Turn::Calls(calls) if self.results(&calls)? => {}
                Turn::Calls(_) => {
                    self.say("a result is missing");
                    return Ok(false);
                }
            }
        }
    }

    /// Generates one answer.
    fn turn(&mut self) -> anyhow::Result<Turn> {
        let answer = match self.generate() {
            Ok(answer) => answer,
            Err(error) if is_failed(&error) => return Err(error),
            Err(error) => {
                self.complain(&error);
                self.hint(&error);
                return Ok(Turn::Failed);
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
            self.say("no answer");
            return Ok(Turn::Failed);
        }
        self.talk.answered(answer.reasoning.clone(), answer.content.clone(), calls.clone());
        self.unsaved = true;
        let waits = !calls.is_empty() && answer.reason == FinishReason::Stop;
        let shown = summary(&answer);
        self.last = Some(answer);
        if !self.args.json && !is_quiet() {
            self.say(&shown);
            self.warn_if_full();
            self.say("");
        }
        if waits {
            return Ok(Turn::Calls(calls));
        }
        self.changed();
        Ok(Turn::Answered)
    }

    fn generate(&mut self) -> anyhow::Result<Answer> {
        let request = self.request(Seed::draw());
        let seed = request.sampling.seed;
        let question = request.messages.last().map(|message| message.content.text()).unwrap_or_default();
        let chat = self.opened.session.chat(request)?;
        let form = Form::of(self.args.answer.raw, self.settings.current().rules.as_ref());
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
