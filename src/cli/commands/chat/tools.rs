//! Results of function calls, which the user types.

use ggrun::chat::ToolCall;

use super::conversation::Chat;
use super::input::Input;

impl Chat<'_> {
    /// Reads the result of every call. False if one is missing.
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
