//! The blocks of a message's content.

use serde_json::{Map, Value, json};

use crate::chat::{Content, FunctionCall, Role, ToolCall, ToolKind};
use crate::openai::{Dropped, Fields, wrong};

/// A block.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Block {
    /// Text.
    Text(String),
    /// Reasoning; `None` if it is encrypted.
    Thinking(Option<String>),
    /// A call.
    Call(ToolCall),
    /// The result of the call with this id.
    Result {
        /// The id.
        id: String,
        /// Its texts.
        texts: Vec<String>,
    },
}

/// The blocks of a message of this role. Fields that are ignored are listed under `place`.
pub(super) fn blocks(
    role: Role,
    content: Option<Value>,
    place: &str,
    dropped: &mut Dropped,
) -> Result<Vec<Block>, String> {
    let list = match content {
        Some(Value::String(text)) => return Ok(vec![Block::Text(text)]),
        Some(Value::Array(list)) => list,
        Some(other) => return Err(wrong("content", &other, "a string or a list").to_string()),
        None => return Err("`content` is missing".to_owned()),
    };
    if list.is_empty() && role == Role::User {
        return Err("`content` has no blocks".to_owned());
    }
    let read = |(index, value)| {
        block(role, value, place, dropped).map_err(|reason| format!("block {}: {reason}", index + 1))
    };
    list.into_iter().enumerate().map(read).collect()
}

/// A content with these texts.
pub(super) fn content(mut texts: Vec<String>) -> Content {
    match texts.len() {
        0 => Content::Text(String::new()),
        1 => Content::Text(texts.remove(0)),
        _ => Content::Parts(texts.into_iter().map(|text| json!({ "type": "text", "text": text })).collect()),
    }
}

/// The types of blocks that a role may have.
fn expected(role: Role) -> &'static str {
    match role {
        Role::User => "text or tool_result",
        Role::Assistant => "text, thinking, redacted_thinking or tool_use",
        Role::System | Role::Developer | Role::Tool => "text",
    }
}

fn block(role: Role, value: Value, place: &str, dropped: &mut Dropped) -> Result<Block, String> {
    let mut fields = Fields::of_value(value)?;
    let kind = fields.required("type")?;
    let found = match (kind.as_str(), role) {
        ("text", _) => Block::Text(text(&mut fields)?),
        ("thinking", Role::Assistant) => {
            fields.take("signature");
            Block::Thinking(Some(fields.required("thinking")?))
        }
        ("redacted_thinking", Role::Assistant) => {
            fields.take("data");
            Block::Thinking(None)
        }
        ("tool_use", Role::Assistant) => Block::Call(call(&mut fields)?),
        ("tool_result", Role::User) => result(&mut fields, dropped)?,
        _ => return Err(wrong("type", &Value::String(kind), expected(role)).to_string()),
    };
    fields.take("cache_control");
    dropped.within(place, fields);
    Ok(found)
}

fn call(fields: &mut Fields) -> Result<ToolCall, String> {
    let id = fields.required("id")?;
    let name = fields.required("name")?;
    if name.is_empty() {
        return Err("`name` is empty".to_owned());
    }
    let arguments = Value::Object(
        fields.object("input").map_err(|refusal| refusal.to_string())?.unwrap_or_else(Map::new),
    );
    Ok(ToolCall { id: Some(id), kind: ToolKind::Function, function: FunctionCall { name, arguments } })
}

fn result(fields: &mut Fields, dropped: &mut Dropped) -> Result<Block, String> {
    let id = fields.required("tool_use_id")?;
    let is_error = fields.truth("is_error").map_err(|refusal| refusal.to_string())?.unwrap_or(false);
    let mut texts = match fields.take("content") {
        None => Vec::new(),
        Some(Value::String(text)) => vec![text],
        Some(Value::Array(parts)) => {
            let read = |(index, value)| {
                part(value, dropped).map_err(|reason| format!("part {} of `content`: {reason}", index + 1))
            };
            parts.into_iter().enumerate().map(read).collect::<Result<_, _>>()?
        }
        Some(other) => return Err(wrong("content", &other, "a string or a list").to_string()),
    };
    if is_error {
        match texts.first_mut() {
            Some(first) => first.insert_str(0, "Error: "),
            None => texts.push("Error".to_owned()),
        }
    }
    Ok(Block::Result { id, texts })
}

/// The text of a part of a result.
fn part(value: Value, dropped: &mut Dropped) -> Result<String, String> {
    let mut fields = Fields::of_value(value)?;
    let kind = fields.required("type")?;
    if kind != "text" {
        return Err(wrong("type", &Value::String(kind), "text").to_string());
    }
    let text = text(&mut fields)?;
    fields.take("cache_control");
    dropped.within("messages.content.content", fields);
    Ok(text)
}

fn text(fields: &mut Fields) -> Result<String, String> {
    // Sources of an earlier answer's text, which are not part of a prompt.
    fields.take("citations");
    fields.required("text")
}
