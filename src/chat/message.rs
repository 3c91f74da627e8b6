//! The messages of a conversation, in the form that chat templates expect: that of `OpenAI`'s API.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::parts::{self, NotText};
use super::python;

/// The author of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Instructions for the whole conversation.
    System,
    /// The newer name of the system role, which few templates support.
    Developer,
    /// The user.
    User,
    /// The model.
    Assistant,
    /// The result of a tool call.
    Tool,
}

impl Role {
    /// The names of all roles.
    pub const NAMES: [&str; 5] = ["system", "developer", "user", "assistant", "tool"];
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::NAMES[*self as usize])
    }
}

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Its author.
    pub role: Role,
    /// Its content.
    #[serde(default, skip_serializing_if = "Content::is_absent")]
    pub content: Content,
    /// The reasoning before the content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<String>,
    /// Calls of functions by the model.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// The id of the call whose result this is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
    /// Other fields that a template may read, such as `name`.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// The names of the reasoning before the content, that of most clients first.
pub(super) const REASONING: [&str; 3] = ["reasoning_content", "thinking", "reasoning"];

impl Message {
    /// Whether it has reasoning under one of its names.
    #[must_use]
    pub fn has_reasoning(&self) -> bool {
        let is_given = |name: &&str| self.more.get(*name).is_some_and(|value| !value.is_null());
        self.reasoning_content.is_some() || REASONING.iter().any(is_given)
    }

    /// A message of plain text.
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

/// The content of a message. Templates can distinguish all four.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(untagged, expecting = "content is text, a list of parts, or null")]
pub enum Content {
    /// The message has no such field.
    #[default]
    #[serde(skip)]
    Absent,
    /// The field is null, as in a message that has only calls.
    Null,
    /// Text.
    Text(String),
    /// A list such as `[{"type": "text", "text": "Hi"}]`.
    Parts(Vec<Value>),
}

impl Content {
    /// Its text; the texts of parts are joined, one per line.
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

    /// Its texts: one, or those of its parts.
    ///
    /// # Errors
    ///
    /// When a part is not text.
    pub fn texts(&self) -> Result<Vec<&str>, NotText> {
        match self {
            Self::Absent | Self::Null => Ok(Vec::new()),
            Self::Text(text) => Ok(vec![text]),
            Self::Parts(parts) => parts::texts(parts),
        }
    }

    fn is_absent(&self) -> bool {
        *self == Self::Absent
    }
}

/// One call of a function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolCall {
    /// Names the call in the message with its result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The kind of tool; there is only one.
    #[serde(rename = "type", default)]
    pub kind: ToolKind,
    /// The function.
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

/// A function and its arguments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionCall {
    /// Its name.
    pub name: String,
    /// An object, or a string that holds one.
    #[serde(deserialize_with = "object_or_text")]
    pub arguments: Value,
}

impl FunctionCall {
    /// The arguments as text, formatted as templates format them, so that a later prompt repeats the model's text.
    #[must_use]
    pub fn arguments_text(&self) -> String {
        match &self.arguments {
            Value::String(text) => text.clone(),
            object => python::dumps(object, &python::Spelling::default()),
        }
    }
}

fn object_or_text<'de, D: serde::Deserializer<'de>>(arguments: D) -> Result<Value, D::Error> {
    let arguments = Value::deserialize(arguments)?;
    if arguments.is_object() || arguments.is_string() {
        return Ok(arguments);
    }
    Err(serde::de::Error::custom("arguments of a call are an object or a string"))
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
    fn roles_have_the_names_that_they_are_written_with() {
        let roles = [Role::System, Role::Developer, Role::User, Role::Assistant, Role::Tool];
        for (role, name) in roles.into_iter().zip(Role::NAMES) {
            assert_eq!(
                (role.to_string(), serde_json::to_value(role).unwrap()),
                (name.to_owned(), json!(name))
            );
        }
    }

    #[test]
    fn absent_and_null_fields_are_accepted() {
        let text =
            json!({"role": "assistant", "content": "x", "tool_calls": null, "reasoning_content": null});
        let read: Message = serde_json::from_value(text).unwrap();
        assert_eq!(read, Message::new(Role::Assistant, "x"));
        let call: ToolCall =
            serde_json::from_value(json!({"function": {"name": "f", "arguments": {}}})).unwrap();
        assert_eq!(call.kind, ToolKind::Function);
    }

    #[test]
    fn content_of_another_type_is_refused_with_the_expected_types() {
        let error = serde_json::from_value::<Message>(json!({"role": "user", "content": 7})).unwrap_err();
        assert_eq!(error.to_string(), "content is text, a list of parts, or null");
    }

    #[test]
    fn arguments_of_another_type_are_refused() {
        for arguments in [json!(null), json!([1]), json!(7), json!(true)] {
            let call = json!({"name": "f", "arguments": arguments});
            let error = serde_json::from_value::<FunctionCall>(call).unwrap_err();
            assert_eq!(error.to_string(), "arguments of a call are an object or a string");
        }
    }

    #[test]
    fn arguments_are_formatted_as_templates_format_them() {
        let call = |arguments| FunctionCall { name: "f".into(), arguments };
        assert_eq!(call(json!({"a": 1, "b": ["é"]})).arguments_text(), r#"{"a": 1, "b": ["é"]}"#);
        assert_eq!(call(json!("{\"a\":1}")).arguments_text(), "{\"a\":1}");
    }
}
