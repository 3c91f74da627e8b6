//! `/compact`: a summary by the model in place of the earlier turns.

use anyhow::bail;
use ggrun::chat::{Message, Role};
use ggrun::engine::FinishReason;
use ggrun::session::{ChatRequest, Seed, ToolChoice};

use super::conversation::Chat;
use super::talk::Talk;
use crate::cli::error::Interrupted;
use crate::cli::shared::answer::answer;
use crate::cli::ui::text;
use crate::cli::ui::wait::{Wait, Work};

/// Asks for the summary.
const REQUEST: &str = "Summarize our conversation so far. Keep every fact, decision, name, number and open question that is needed \
                       to continue it. Write only the summary.";
/// The question whose answer is the summary.
const QUESTION: &str = "Summarize our conversation so far.";

/// The most tokens of a summary in a context of this many.
fn longest(context: u32) -> u32 {
    (context / 4).clamp(16, 2048)
}

impl Chat<'_> {
    /// Replaces all turns but the last with a summary. Nothing changes on an error.
    pub(super) fn compact(&mut self) -> anyhow::Result<String> {
        let mut exchanges = self.talk.exchanges();
        let kept = if exchanges.len() > 1 { exchanges.pop().unwrap_or_default() } else { Vec::new() };
        if exchanges.is_empty() {
            bail!("no conversation to summarize");
        }
        let before = self.tokens();
        let mut rest = &exchanges[..];
        let mut summary = Vec::new();
        while !rest.is_empty() {
            let (fits, request) = self.summarizing(&summary, rest)?;
            summary = self.summarize(request)?;
            rest = &rest[fits..];
        }
        let text = summary.last().map(|message| message.content.text()).unwrap_or_default();
        let turns = summary.into_iter().chain(kept).collect();
        let new = self.talk.with_turns(turns);
        let old = std::mem::replace(&mut self.talk, new);
        let after = self.tokens();
        let (Some(before), Some(after)) =
            (before, after.filter(|after| before.is_some_and(|before| *after < before)))
        else {
            self.talk = old;
            bail!("the summary is not shorter than the earlier turns; the conversation is unchanged");
        };
        self.changed();
        let after = text::plural(after, "token");
        Ok(format!(
            "{text}\n\nearlier turns are replaced by this summary: {} before, {after} now",
            text::count(before)
        ))
    }

    /// The request to summarize as many of the exchanges as fit after the summary so far, and their number.
    fn summarizing(
        &self,
        summary: &[Message],
        rest: &[Vec<Message>],
    ) -> anyhow::Result<(usize, ChatRequest)> {
        let (context, longest) = (self.opened.context(), longest(self.opened.context()));
        let request = |count: usize| {
            let turns = summary.iter().chain(rest[..count].iter().flatten()).cloned();
            let asked = turns.chain([Message::new(Role::User, REQUEST)]);
            self.summary_request(&self.talk.with_turns(asked.collect()), longest)
        };
        let fits = |count: &usize| {
            let tokens = self.opened.session.count(&request(*count)).unwrap_or(usize::MAX);
            tokens.saturating_add(longest as usize) < context as usize
        };
        let counts: Vec<usize> = (1..=rest.len()).collect();
        match counts.partition_point(fits) {
            0 => bail!(
                "a question and its answer fill the context and leave no room for a summary; /undo or /clear removes \
                 them, `-c N` sets a larger context"
            ),
            count => Ok((count, request(count))),
        }
    }

    fn summary_request(&self, talk: &Talk, longest: u32) -> ChatRequest {
        let mut request = self.settings.current().chat_request(talk.messages(), Seed::draw());
        request.max_tokens = Some(longest);
        request.reasoning_budget = Some(0);
        request.reasoning_budget_message = String::new();
        request.stop.clear();
        request.tool_choice = ToolChoice::None;
        request.sampling.grammar = None;
        request
    }

    /// The turn with a summary.
    fn summarize(&self, request: ChatRequest) -> anyhow::Result<Vec<Message>> {
        let wait = Wait::new(Work::Prompt);
        let chat = self.opened.session.chat(request)?;
        let answer = answer(chat, &self.interrupt, |event| {
            wait.follow(event);
            Ok(())
        })?;
        drop(wait);
        if answer.reason == FinishReason::Cancelled {
            if !self.source.is_terminal() || self.interrupt.is_final() {
                return Err(Interrupted.into());
            }
            self.interrupt.clear();
            bail!("stopped; the conversation is unchanged");
        }
        if answer.reason == FinishReason::Length {
            let tokens = text::plural(answer.usage.total.completion_tokens.into(), "token");
            bail!("the summary was cut off after {tokens}; the conversation is unchanged");
        }
        let text = answer.content.trim();
        if text.is_empty() {
            bail!("the model wrote no summary; the conversation is unchanged");
        }
        Ok(vec![Message::new(Role::User, QUESTION), Message::new(Role::Assistant, text)])
    }
}
