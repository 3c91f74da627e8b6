//! How full the context is, and what can be done about it.

use ggrun::engine;
use ggrun::session;

use super::conversation::Chat;
use crate::cli::ui::text;

/// Percent of the context from which on it is nearly full.
const NEARLY: u64 = 80;
/// What makes room.
const REMEDIES: &str = "/compact replaces earlier turns with a summary, /undo removes the last question, /clear all; \
                        `-c N` sets a larger context";

impl Chat<'_> {
    /// The tokens of the conversation, if it can be rendered.
    pub(super) fn tokens(&self) -> Option<u64> {
        if self.talk.questions() == 0 {
            return Some(0);
        }
        self.opened.session.count(&self.request(0)).ok().map(|tokens| tokens as u64)
    }

    /// The fill of the context, as a part of a sentence.
    pub(super) fn gauge(&self) -> Option<String> {
        Some(gauge(self.tokens()?, self.opened.context().into()))
    }

    /// Says that the context is nearly full.
    pub(super) fn warn_if_full(&mut self) {
        let context = u64::from(self.opened.context());
        // Counting takes time in a long conversation.
        let last = self.last.as_ref().map_or(0, |answer| {
            u64::from(answer.usage.total.prompt_tokens) + u64::from(answer.usage.total.completion_tokens)
        });
        if last * 100 < context * NEARLY {
            return;
        }
        if let Some(tokens) = self.tokens().filter(|tokens| tokens * 100 >= context * NEARLY) {
            let nearly = if tokens < context { "nearly " } else { "" };
            let used = used(tokens, context);
            self.say(&format!("the context is {nearly}full, {used}: {REMEDIES}"));
        }
    }

    /// Writes what makes room, if an error is a full context.
    pub(super) fn hint(&mut self, error: &anyhow::Error) {
        if let Some(session::Error::Engine(engine::Error::PromptTooLong { .. })) = error.downcast_ref() {
            self.say(&format!("hint: {REMEDIES}"));
        }
    }
}

fn gauge(tokens: u64, context: u64) -> String {
    format!("{} % of the context in use, {}", tokens * 100 / context.max(1), used(tokens, context))
}

fn used(tokens: u64, context: u64) -> String {
    format!("{} of {}", text::count(tokens), text::plural(context, "token"))
}
