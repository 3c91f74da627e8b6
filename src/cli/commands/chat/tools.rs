//! Functions that the model calls and the user plays: what each gives back is typed.

use ggrun::chat::ToolCall;

use super::conversation::Chat;
use super::input::Input;

impl Chat<'_> {
    /// Asks for the result of every call; tells whether all were given.
    pub(super) fn results(&mut self, calls: &[ToolCall]) -> anyhow::Result<bool> {
        for call in calls {
            let prompt = format!("result of {}> ", call.function.name);
            match self.source.read(&prompt, "")? {
                Input::Entry(text) if !text.trim().is_empty() => self.talk.result(call, &text),
                _ => return Ok(false),
            }
        }
        Ok(true)
    }
}
