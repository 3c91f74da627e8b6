//! The prompt of a conversation.

use super::Session;
use crate::chat::{Message, RenderOptions, Role};
use crate::engine::{Markup, Token};

impl Session {
    /// Where in a prompt later ones are likely to part from it: behind the instructions, before the last question,
    /// and before the answer. A template that does not render a conversation so far has no boundary there.
    pub(super) fn boundaries(
        &self,
        messages: &[Message],
        options: &RenderOptions,
        prompt: &[Token],
    ) -> Vec<usize> {
        let instructions = messages.iter().take_while(|m| m.role == Role::System).count();
        let question = messages.iter().rposition(|m| m.role == Role::User).unwrap_or(0);
        let shared = |count: usize| {
            let text = self.template.render(&messages[..count], options).ok()?;
            let tokens = self.vocab.tokenize(&text, Markup::Parsed);
            Some(tokens.iter().zip(prompt).take_while(|(a, b)| a == b).count())
        };
        [instructions, question, messages.len()].into_iter().filter_map(shared).collect()
    }
}
