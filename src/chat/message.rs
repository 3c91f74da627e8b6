//! What is said in a conversation, in the shape chat templates expect: that of `OpenAI`'s interface.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::python;

/// Who says something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Instructions for the whole conversation.
    System,
    /// The same under a newer name, which few templates know.
    Developer,
    /// The one who asks.
    User,
    /// The model.
    Assistant,
    /// The result of a tool call.
    Tool,
}

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Who says it.
    pub role: Role,
    /// What is said.
    #[serde(default, skip_serializing_if = "Content::is_absent")]
    pub content: Content,
    /// What the model thought before it said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<String>,
    /// Functions the model calls.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// The call that a tool's message answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
    /// Whatever else a template may look at, such as `name`.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

impl Message {
    /// Plain text from anybody.
    pub fn new(role: Role, content: impl Into<String>) -> Self {
        Self {
            role,
            content: Content::Text(content.into()),
            reasoning_content: None,
            tool_calls: Vec::new(),
            tool_call_id: None,
            more: Map::new(),
        }
    }
}

/// What a turn says. Templates can tell all four apart.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(untagged, expecting = "content is text, a list of parts, or null")]
pub enum Content {
    /// The message has no such field.
    #[default]
    #[serde(skip)]
    Absent,
    /// The field is null, as where a model only calls functions.
    Null,
    /// Text.
    Text(String),
    /// A list such as `[{"type": "text", "text": "Hi"}]`; templates that know no lists refuse it.
    Parts(Vec<Value>),
}

impl Content {
    /// What can be read of it: the texts of its parts, one a line.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Absent | Self::Null => String::new(),
            Self::Text(text) => text.clone(),
            Self::Parts(parts) => {
                let texts = parts.iter().filter_map(|part| part.get("text")?.as_str());
                texts.collect::<Vec<_>>().join("\n")
            }
        }
    }

    fn is_absent(&self) -> bool {
        *self == Self::Absent
    }
}

/// One call of a function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolCall {
    /// Ties the result to the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What kind of tool it is: there is one kind.
    #[serde(rename = "type", default)]
    pub kind: ToolKind,
    /// What is called.
    pub function: FunctionCall,
}

/// A kind of tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ToolKind {
    /// A function with named arguments.
    #[default]
    Function,
}

/// A function and what it is given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionCall {
    /// Its name.
    pub name: String,
    /// An object, or a string that holds one.
    pub arguments: Value,
}

impl FunctionCall {
    /// The arguments as text, spelled as templates spell them, so that a later turn repeats what the model wrote.
    #[must_use]
    pub fn arguments_text(&self) -> String {
        match &self.arguments {
            Value::String(text) => text.clone(),
            object => python::dumps(object, &python::Spelling::default()),
        }
    }
}

fn null_is_empty<'de, D: serde::Deserializer<'de>>(list: D) -> Result<Vec<ToolCall>, D::Error> {
    Ok(Option::deserialize(list)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn messages_are_read_and_written_without_loss() {
        for message in [
            json!({"role": "user", "content": "hi"}),
            json!({"role": "user", "content": [{"type": "text", "text": "hi"}], "name": "ada"}),
            json!({"role": "developer", "content": ""}),
            json!({"role": "assistant", "content": null, "tool_calls": [
                {"id": "call_0", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}),
            json!({"role": "assistant", "reasoning_content": "hm", "mood": {"n": 1}}),
            json!({"role": "tool", "content": "4", "tool_call_id": "call_0"}),
        ] {
            let read: Message = serde_json::from_value(message.clone()).unwrap();
            assert_eq!(serde_json::to_value(&read).unwrap(), message);
        }
    }

    #[test]
    fn what_others_leave_out_or_empty_is_understood() {
        let text =
            json!({"role": "assistant", "content": "x", "tool_calls": null, "reasoning_content": null});
        let read: Message = serde_json::from_value(text).unwrap();
        assert_eq!(read, Message::new(Role::Assistant, "x"));
        let call: ToolCall =
            serde_json::from_value(json!({"function": {"name": "f", "arguments": {}}})).unwrap();
        assert_eq!(call.kind, ToolKind::Function);
    }

    #[test]
    fn content_of_another_kind_is_refused_in_words() {
        let error = serde_json::from_value::<Message>(json!({"role": "user", "content": 7})).unwrap_err();
        assert_eq!(error.to_string(), "content is text, a list of parts, or null");
    }

    #[test]
    fn arguments_are_spelled_as_templates_spell_them() {
        let call = |arguments| FunctionCall { name: "f".into(), arguments };
        assert_eq!(call(json!({"a": 1, "b": ["é"]})).arguments_text(), r#"{"a": 1, "b": ["é"]}"#);
        assert_eq!(call(json!("{\"a\":1}")).arguments_text(), "{\"a\":1}");
    }
}
