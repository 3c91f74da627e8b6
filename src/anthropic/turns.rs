//! The conversation of a request: turns of blocks become messages.

use serde_json::Value;

use super::blocks::{Block, blocks, content};
use super::system::without_metadata;
use crate::chat::{Content, Message, Role};
use crate::openai::{Dropped, Fields, Refusal, wrong};

/// Consecutive messages of one role.
#[derive(Debug)]
struct Turn {
    role: Role,
    blocks: Vec<Block>,
}

/// Takes the conversation. Its last message is continued if it is the assistant's.
///
/// Consecutive messages of one role are one turn, and so are the instructions and the system messages at the start. In a
/// turn of the user, results of calls come first. An empty answer at the end counts as missing.
pub(super) fn turns(fields: &mut Fields, dropped: &mut Dropped) -> Result<(Vec<Message>, bool), Refusal> {
    let mut turns = Vec::new();
    if let Some(system) = fields.take("system") {
        let blocks = blocks(Role::System, Some(system), "system", dropped);
        let blocks = blocks.map_err(|reason| Refusal::Shape { field: "system", reason })?;
        turns.push(Turn { role: Role::System, blocks });
    }
    let given = fields.list("messages")?.ok_or(Refusal::Missing { field: "messages" })?;
    if given.is_empty() {
        return Err(wrong("messages", &Value::Array(given), "at least one message"));
    }
    for (index, value) in given.into_iter().enumerate() {
        let shape =
            |reason| Refusal::Shape { field: "messages", reason: format!("message {}: {reason}", index + 1) };
        let Turn { role, blocks } = turn(value, dropped).map_err(shape)?;
        match turns.last_mut() {
            Some(last) if last.role == role => last.blocks.extend(blocks),
            _ => turns.push(Turn { role, blocks }),
        }
    }
    let mut messages: Vec<Message> = turns.into_iter().flat_map(messages).collect();
    let is_empty = |last: &Message| {
        last.role == Role::Assistant
            && last.tool_calls.is_empty()
            && last.reasoning_content.is_none()
            && last.content.text().is_empty()
    };
    messages.pop_if(|last| is_empty(last));
    match messages.last() {
        None => Err(Refusal::Shape { field: "messages", reason: "all of them are empty".to_owned() }),
        Some(last) if !last.tool_calls.is_empty() => {
            let reason = "the last one has `tool_use` without results".to_owned();
            Err(Refusal::Shape { field: "messages", reason })
        }
        Some(last) => {
            let continued = last.role == Role::Assistant;
            Ok((messages, continued))
        }
    }
}

fn turn(value: Value, dropped: &mut Dropped) -> Result<Turn, String> {
    let mut fields = Fields::of_value(value)?;
    let role = match fields.take("role") {
        Some(Value::String(name)) if name == "user" => Role::User,
        Some(Value::String(name)) if name == "assistant" => Role::Assistant,
        Some(Value::String(name)) if name == "system" => Role::System,
        Some(other) => return Err(wrong("role", &other, "user, assistant or system").to_string()),
        None => return Err("`role` is missing".to_owned()),
    };
    let blocks = blocks(role, fields.take("content"), "messages.content", dropped)?;
    dropped.within("messages", fields);
    Ok(Turn { role, blocks })
}

/// The messages of a turn; none if it has only metadata.
fn messages(turn: Turn) -> Vec<Message> {
    let (mut out, mut texts, mut reasoning, mut calls) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for block in turn.blocks {
        match block {
            Block::Text(text) if turn.role == Role::System => {
                texts.extend(
                    Some(without_metadata(&text).into_owned()).filter(|text| !text.trim().is_empty()),
                );
            }
            Block::Text(text) => texts.extend(Some(text).filter(|text| !text.is_empty())),
            Block::Thinking(text) => reasoning.extend(text.filter(|text| !text.is_empty())),
            Block::Call(call) => calls.push(call),
            Block::Result { id, texts } => out.push(Message {
                content: content(texts),
                tool_call_id: Some(id),
                ..Message::new(Role::Tool, "")
            }),
        }
    }
    let has_text = !texts.is_empty();
    let is_needed = match turn.role {
        Role::System => has_text,
        _ => has_text || out.is_empty(),
    };
    if is_needed {
        let content = if has_text || calls.is_empty() { content(texts) } else { Content::Null };
        let reasoning_content = (!reasoning.is_empty()).then(|| reasoning.join("\n"));
        let message = Message::new(turn.role, "");
        out.push(Message { content, reasoning_content, tool_calls: calls, ..message });
    }
    out
}
