//! A conversation and its changes. Pure: no model, no files.

use ggrun::chat::{Message, Role, ToolCall};

/// A conversation.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Talk {
    /// The system prompt.
    pub(super) system: Option<String>,
    /// Questions and answers, in turn.
    turns: Vec<Message>,
}

impl Talk {
    /// A conversation of these messages. A system message is the system prompt only if it comes first.
    pub(super) fn from_messages(messages: Vec<Message>) -> Self {
        let mut turns = messages;
        let system = match turns.first() {
            Some(first) if first.role == Role::System => Some(turns.remove(0).content.text()),
            _ => None,
        };
        Self { system, turns }
    }

    /// All messages.
    pub(super) fn messages(&self) -> Vec<Message> {
        let system = self.system.iter().map(|text| Message::new(Role::System, text));
        system.chain(self.turns.iter().cloned()).collect()
    }

    pub(super) fn ask(&mut self, text: &str) {
        self.turns.push(Message::new(Role::User, text));
    }

    pub(super) fn answered(&mut self, reasoning: String, content: String, calls: Vec<ToolCall>) {
        let mut message = Message::new(Role::Assistant, content);
        message.reasoning_content = (!reasoning.is_empty()).then_some(reasoning);
        message.tool_calls = calls;
        self.turns.push(message);
    }

    /// Adds the result of a call of the last answer.
    pub(super) fn result(&mut self, call: &ToolCall, text: &str) {
        let mut message = Message::new(Role::Tool, text);
        message.tool_call_id.clone_from(&call.id);
        message.more.insert("name".to_owned(), call.function.name.clone().into());
        self.turns.push(message);
    }

    /// Removes the last question and its answer, and returns the question.
    pub(super) fn undo(&mut self) -> Option<String> {
        let question = self.turns.iter().rposition(|message| message.role == Role::User)?;
        self.turns.drain(question..).next().map(|message| message.content.text())
    }

    /// The last question.
    pub(super) fn question(&self) -> Option<String> {
        let question = self.turns.iter().rev().find(|message| message.role == Role::User)?;
        Some(question.content.text())
    }

    /// The last answer.
    pub(super) fn last_answer(&self) -> Option<String> {
        let answer = self.turns.iter().rev().find(|message| message.role == Role::Assistant)?;
        Some(answer.content.text())
    }

    /// The questions, each with what follows it. What comes before the first question belongs to it.
    pub(super) fn exchanges(&self) -> Vec<Vec<Message>> {
        let mut exchanges: Vec<Vec<Message>> = Vec::new();
        for message in &self.turns {
            match exchanges.last_mut() {
                Some(last) if message.role != Role::User => last.push(message.clone()),
                _ => exchanges.push(vec![message.clone()]),
            }
        }
        exchanges
    }

    /// The conversation with this system prompt, these turns, and nothing else.
    pub(super) fn with_turns(&self, turns: Vec<Message>) -> Self {
        Self { system: self.system.clone(), turns }
    }

    /// Removes the last answer.
    pub(super) fn regen(&mut self) {
        if let Some(question) = self.turns.iter().rposition(|message| message.role == Role::User) {
            self.turns.truncate(question + 1);
        }
    }

    pub(super) fn clear(&mut self) {
        self.turns.clear();
    }

    /// The number of questions.
    pub(super) fn questions(&self) -> usize {
        self.turns.iter().filter(|message| message.role == Role::User).count()
    }

    /// The conversation as Markdown.
    pub(super) fn markdown(&self) -> String {
        let mut text = String::new();
        for message in self.messages() {
            let who = match message.role {
                Role::System | Role::Developer => "System",
                Role::User => "User",
                Role::Assistant => "Assistant",
                Role::Tool => "Tool",
            };
            text.extend(["## ", who, "\n\n"]);
            if let Some(reasoning) = &message.reasoning_content {
                let quoted: Vec<String> =
                    reasoning.lines().map(|line| format!("> {line}").trim_end().to_owned()).collect();
                text.extend([quoted.join("\n").as_str(), "\n\n"]);
            }
            text.extend([message.content.text().trim_end(), "\n\n"]);
            for call in &message.tool_calls {
                let arguments = call.function.arguments_text();
                text.extend(["`", call.function.name.as_str(), " ", arguments.as_str(), "`\n\n"]);
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn talk() -> Talk {
        let mut talk = Talk { system: Some("Be brief.".into()), ..Talk::default() };
        talk.ask("one?");
        talk.answered("hm\n\nwell".into(), "1".into(), vec![]);
        talk.ask("two?");
        talk.answered(String::new(), "2\n".into(), vec![]);
        talk
    }

    #[test]
    fn questions_are_removed_with_their_answers() {
        let mut talk = talk();
        assert_eq!(talk.questions(), 2);
        assert_eq!(talk.undo().as_deref(), Some("two?"));
        assert_eq!(talk.messages().last().unwrap().content.text(), "1");
        talk.regen();
        assert_eq!(talk.messages().last().unwrap().content.text(), "one?");
        assert_eq!(talk.undo().as_deref(), Some("one?"));
        assert_eq!(talk.undo(), None);
        talk.regen();
        assert_eq!(talk.messages().len(), 1, "the system prompt stays");
    }

    #[test]
    fn exchanges_are_questions_with_what_follows_them() {
        let talk = talk();
        let exchanges = talk.exchanges();
        assert_eq!(exchanges.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2]);
        assert_eq!((talk.question().as_deref(), talk.last_answer().as_deref()), (Some("two?"), Some("2\n")));
        assert_eq!(talk.with_turns(exchanges.concat()), talk);
        assert_eq!(Talk::default().question(), None);
    }

    #[test]
    fn messages_and_back_are_the_same_conversation() {
        assert_eq!(Talk::from_messages(talk().messages()), talk());
        assert_eq!(Talk::from_messages(vec![]), Talk::default());
    }

    #[test]
    fn results_belong_to_their_calls_and_are_removed_with_them() {
        let call: ToolCall = serde_json::from_value(serde_json::json!({
            "id": "call_0", "type": "function", "function": {"name": "add", "arguments": {"a": 17}}
        }))
        .unwrap();
        let mut talk = Talk::default();
        talk.ask("sum?");
        talk.answered(String::new(), String::new(), vec![call.clone()]);
        talk.result(&call, "42");
        let last = talk.messages().pop().unwrap();
        assert_eq!((last.role, last.tool_call_id.as_deref()), (Role::Tool, Some("call_0")));
        assert!(talk.markdown().ends_with("`add {\"a\": 17}`\n\n## Tool\n\n42\n\n"), "{}", talk.markdown());
        assert_eq!(talk.undo().as_deref(), Some("sum?"));
        assert!(talk.messages().is_empty());
    }

    #[test]
    fn thinking_is_quoted_in_an_export() {
        assert_eq!(
            talk().markdown(),
            "## System\n\nBe brief.\n\n## User\n\none?\n\n## Assistant\n\n> hm\n>\n> well\n\n1\n\n\
             ## User\n\ntwo?\n\n## Assistant\n\n2\n\n"
        );
    }
}
