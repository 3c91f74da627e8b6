//! Calls of one message as messages of their own, for templates that take one call at a time.

use super::message::{Content, Message, Role, ToolCall};

/// Messages with one call each, and for each the index of the message that it is a part of.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Singly {
    pub(super) messages: Vec<Message>,
    pub(super) origins: Vec<usize>,
}

/// Whether a message has several calls.
pub(super) fn has_several(messages: &[Message]) -> bool {
    messages.iter().any(|message| message.tool_calls.len() > 1)
}

impl Singly {
    /// Puts each call before its result; `None` if a result belongs to no call before it.
    pub(super) fn of(messages: &[Message]) -> Option<Self> {
        let mut singly = Self { messages: Vec::new(), origins: Vec::new() };
        let mut next = 0;
        while let Some(message) = messages.get(next) {
            let index = next;
            next += 1;
            if message.tool_calls.len() < 2 {
                singly.push(message.clone(), index);
                continue;
            }
            let results = messages[next..].iter().take_while(|message| message.role == Role::Tool).count();
            let mut results: Vec<usize> = (next..next + results).collect();
            next += results.len();
            for (number, call) in message.tool_calls.iter().enumerate() {
                singly.push(part(message, number, call), index);
                let is_its = |at: &usize| {
                    let id = &messages[*at].tool_call_id;
                    id.is_none() || *id == call.id
                };
                if let Some(place) = results.iter().position(is_its) {
                    let at = results.remove(place);
                    singly.push(messages[at].clone(), at);
                }
            }
            if !results.is_empty() {
                return None;
            }
        }
        Some(singly)
    }

    fn push(&mut self, message: Message, origin: usize) {
        self.messages.push(message);
        self.origins.push(origin);
    }

    /// Values of these messages as those of the messages that they are parts of: of the first part of each.
    pub(super) fn whole<T: Clone>(&self, values: &[Option<T>]) -> Vec<Option<T>> {
        let mut whole = vec![None; self.origins.iter().max().map_or(0, |last| last + 1)];
        for (origin, value) in self.origins.iter().zip(values).rev() {
            whole[*origin].clone_from(value);
        }
        whole
    }
}

/// One call of a message. The first has everything else of it.
fn part(message: &Message, number: usize, call: &ToolCall) -> Message {
    let tool_calls = vec![call.clone()];
    if number == 0 {
        return Message { tool_calls, ..message.clone() };
    }
    Message { tool_calls, content: Content::Text(String::new()), ..Message::new(message.role, "") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{RenderOptions, Template};
    use serde_json::{Value, json};

    fn call(name: &str) -> Value {
        json!({"id": name, "function": {"name": name, "arguments": {}}})
    }

    fn messages(results: &Value) -> Vec<Message> {
        let mut list = json!([
            {"role": "user", "content": "q"},
            {"role": "assistant", "content": "c", "reasoning_content": "r", "tool_calls": [call("f"), call("g")]},
        ]);
        list.as_array_mut().unwrap().extend(results.as_array().unwrap().clone());
        list.as_array_mut().unwrap().push(json!({"role": "user", "content": "end"}));
        serde_json::from_value(list).unwrap()
    }

    fn result(content: &str, id: Option<&str>) -> Value {
        json!({"role": "tool", "content": content, "tool_call_id": id})
    }

    #[test]
    fn each_call_is_followed_by_its_result() {
        for (results, expected) in [
            (json!([]), "q|crf|g|end|"),
            (json!([result("1", Some("f")), result("2", Some("g"))]), "q|crf|1|g|2|end|"),
            (json!([result("2", Some("g")), result("1", Some("f"))]), "q|crf|1|g|2|end|"),
            (json!([result("1", None), result("2", None)]), "q|crf|1|g|2|end|"),
            (json!([result("2", Some("g"))]), "q|crf|g|2|end|"),
        ] {
            let singly = Singly::of(&messages(&results)).unwrap();
            let shown = singly.messages.iter().map(|message| {
                let names = message.tool_calls.iter().map(|call| call.function.name.as_str());
                let reasoning = message.reasoning_content.as_deref().unwrap_or_default();
                message.content.text() + reasoning + &names.collect::<String>() + "|"
            });
            assert_eq!(shown.collect::<String>(), expected);
        }
        assert_eq!(Singly::of(&messages(&json!([result("3", Some("h"))]))), None);
    }

    const TURNS: &str = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% if m.tool_calls %}CALLS{% endif %};{% endfor %}";

    #[test]
    fn calls_are_parted_only_where_the_template_takes_one_at_a_time() {
        let first = TURNS.replace("CALLS", "{{ m.tool_calls[0].function.name }}");
        let refuses = TURNS.replace(
            "CALLS",
            "{% if m.tool_calls | length > 1 %}{{ raise_exception('one') }}{% endif %}{{ m.tool_calls[0].function.name }}",
        );
        let all = TURNS.replace("CALLS", "{% for c in m.tool_calls %}{{ c.function.name }}{% endfor %}");
        let list = messages(&json!([result("2", Some("g")), result("1", Some("f"))]));
        let parted = "<user>q;<assistant>cf;<tool>1;<assistant>g;<tool>2;<user>end;";
        let whole = "<user>q;<assistant>cfg;<tool>2;<tool>1;<user>end;";
        for (source, expected) in [(&first, parted), (&refuses, parted), (&all, whole)] {
            let template = Template::parse(source, "", "").unwrap();
            let prompt = template.conversation(&list, &RenderOptions::default()).unwrap();
            assert_eq!(prompt.text, expected);
            let begins = prompt.messages.iter().map(|begin| begin.unwrap());
            let found = begins.map(|begin| prompt.text[begin..].split(';').next().unwrap());
            let turns: Vec<_> = found.collect();
            assert_eq!(turns.len(), list.len());
            assert!(turns[1].starts_with("cf"), "{turns:?}");
            assert_eq!(turns[2..], ["2", "1", "end"]);
        }
    }

    #[test]
    fn a_message_that_is_left_out_has_its_own_number() {
        let source = TURNS
            .replace("CALLS", "{{ m.tool_calls[0].function.name }}")
            .replace("in messages", "in messages[:-1]");
        let list = messages(&json!([result("1", Some("f")), result("2", Some("g"))]));
        let error = Template::parse(&source, "", "").unwrap().conversation(&list, &RenderOptions::default());
        assert!(
            matches!(error, Err(crate::chat::Error::LeftOut { number: 5, role: Role::User })),
            "{error:?}"
        );
    }
}
