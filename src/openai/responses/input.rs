//! The items of a conversation as messages: the items of one turn of the model become one message.

use serde_json::{Value, json};

use super::item::carried;
use crate::chat::{Content, FunctionCall, Message, NotText, Role, ToolCall, ToolKind};
use crate::openai::fields::{Dropped, Fields, wrong};
use crate::openai::refusal::Refusal;

/// Takes `input`.
pub(super) fn read(
    fields: &mut Fields,
    instructions: Option<String>,
    dropped: &mut Dropped,
) -> Result<Vec<Message>, Refusal> {
    let mut turns = Turns::default();
    match fields.take("input").ok_or(Refusal::Missing { field: "input" })? {
        Value::String(text) => turns.messages.push(Message::new(Role::User, text)),
        Value::Array(items) if items.is_empty() => {
            return Err(wrong("input", &Value::Array(items), "at least one message"));
        }
        Value::Array(items) => {
            for (index, item) in items.into_iter().enumerate() {
                let shape = |reason: String| Refusal::Shape {
                    field: "input",
                    reason: format!("item {}: {reason}", index + 1),
                };
                Fields::of_value(item).and_then(|item| turns.add(item, dropped)).map_err(shape)?;
            }
            if turns.messages.is_empty() {
                let reason = "none of its items is a part of a message".to_owned();
                return Err(Refusal::Shape { field: "input", reason });
            }
        }
        other => return Err(wrong("input", &other, "text or a list of items")),
    }
    let instructions = instructions.map(|text| Message::new(Role::System, text));
    Ok(instructions.into_iter().chain(turns.messages).collect())
}

/// The messages so far.
#[derive(Default)]
struct Turns {
    messages: Vec<Message>,
    /// Whether the last message is a turn of the model that may have more items.
    is_open: bool,
}

impl Turns {
    fn add(&mut self, mut item: Fields, dropped: &mut Dropped) -> Result<(), String> {
        let kind = match item.take("type") {
            Some(Value::String(kind)) => kind,
            Some(other) => return Err(wrong("type", &other, "a string").to_string()),
            None if item.has("role") => "message".to_owned(),
            None if item.has("id") => "item_reference".to_owned(),
            None => return Err("`type` is missing".to_owned()),
        };
        match kind.as_str() {
            "message" => self.message(&mut item, dropped)?,
            "reasoning" => self.reasoning(&mut item, dropped)?,
            "function_call" => self.call(&mut item)?,
            "function_call_output" => self.output(&mut item, dropped)?,
            "item_reference" => {
                return Err("it refers to a stored item, but nothing is stored: send the item".to_owned());
            }
            other => {
                dropped.add(&format!("input.{other}"));
                return Ok(());
            }
        }
        // They describe an item of an earlier response.
        for name in ["id", "status"] {
            item.take(name);
        }
        dropped.within("input", item);
        Ok(())
    }

    fn message(&mut self, item: &mut Fields, dropped: &mut Dropped) -> Result<(), String> {
        let role = match item.take("role") {
            Some(Value::String(role)) => match role.as_str() {
                "user" => Role::User,
                "system" => Role::System,
                "developer" => Role::Developer,
                "assistant" => Role::Assistant,
                _ => return Err(unknown_role(&json!(role))),
            },
            Some(other) => return Err(unknown_role(&other)),
            None => return Err("`role` is missing".to_owned()),
        };
        let content = content("content", item.take("content"), dropped)?;
        if role != Role::Assistant {
            self.is_open = false;
            self.messages.push(Message { content, ..Message::new(role, "") });
            return Ok(());
        }
        let turn = self.turn();
        turn.content = match (&turn.content, content) {
            (Content::Text(text), content) if text.is_empty() => content,
            (before, after) => Content::Text(format!("{}\n{}", before.text(), after.text())),
        };
        Ok(())
    }

    /// Reasoning. Without its text it is left out: a summary is not what the model wrote.
    fn reasoning(&mut self, item: &mut Fields, dropped: &mut Dropped) -> Result<(), String> {
        item.take("summary");
        let parts = item.list("content").map_err(|refusal| refusal.to_string())?.unwrap_or_default();
        let text = |part: &Value| part.get("text").and_then(Value::as_str).map(str::to_owned);
        let texts: Option<Vec<String>> = parts.iter().map(text).collect();
        let mut text = texts.ok_or("a part of `content` has no text")?.join("\n");
        let encrypted = item.take("encrypted_content");
        if text.is_empty() {
            let carried = encrypted.as_ref().and_then(Value::as_str).and_then(carried);
            carried.unwrap_or_default().clone_into(&mut text);
        }
        if text.is_empty() {
            dropped.add("input.reasoning");
            return Ok(());
        }
        let turn = self.turn();
        // It begins a turn of its own after the rest of another.
        self.is_open = turn.tool_calls.is_empty() && turn.content.text().is_empty();
        let turn = self.turn();
        turn.reasoning_content = match turn.reasoning_content.take() {
            Some(before) => Some(format!("{before}\n{text}")),
            None => Some(text),
        };
        Ok(())
    }

    fn call(&mut self, item: &mut Fields) -> Result<(), String> {
        let [id, name, arguments] = ["call_id", "name", "arguments"].map(|name| item.required(name));
        let function = FunctionCall { name: name?, arguments: Value::String(arguments?) };
        let call = ToolCall { id: Some(id?), kind: ToolKind::Function, function };
        self.turn().tool_calls.push(call);
        Ok(())
    }

    fn output(&mut self, item: &mut Fields, dropped: &mut Dropped) -> Result<(), String> {
        let id = item.required("call_id")?;
        let content = content("output", item.take("output"), dropped)?;
        self.is_open = false;
        self.messages.push(Message { content, tool_call_id: Some(id), ..Message::new(Role::Tool, "") });
        Ok(())
    }

    /// The turn of the model that is open, or a new one.
    fn turn(&mut self) -> &mut Message {
        if !self.is_open {
            self.messages.push(Message::new(Role::Assistant, ""));
            self.is_open = true;
        }
        let last = self.messages.len() - 1;
        &mut self.messages[last]
    }
}

fn unknown_role(found: &Value) -> String {
    wrong("role", found, "user, system, developer or assistant").to_string()
}

/// Fields of a part: what a response adds to its text says nothing to the model.
const PART: [&str; 4] = ["type", "text", "annotations", "logprobs"];

/// Text, or a list of parts, all of them text. A single part is its text.
fn content(name: &str, value: Option<Value>, dropped: &mut Dropped) -> Result<Content, String> {
    let parts = match value {
        Some(Value::String(text)) => return Ok(Content::Text(text)),
        Some(Value::Array(parts)) => Content::Parts(parts),
        Some(other) => return Err(wrong(name, &other, "text or a list of parts").to_string()),
        None => return Err(format!("`{name}` is missing")),
    };
    let refused =
        |NotText { number, found }| format!("part {number} of `{name}` is `{found}`, expected text");
    let texts = parts.texts().map_err(refused)?;
    if let Content::Parts(parts) = &parts {
        let names = parts.iter().filter_map(Value::as_object).flat_map(|part| part.keys());
        let unknown = names.filter(|name| !PART.contains(&name.as_str()));
        unknown.for_each(|part| dropped.unknown(&format!("input.{name}.{part}")));
    }
    match texts.as_slice() {
        [] => Err(format!("`{name}` has no parts")),
        [text] => Ok(Content::Text((*text).to_owned())),
        texts => {
            Ok(Content::Parts(texts.iter().map(|text| json!({ "type": "text", "text": text })).collect()))
        }
    }
}
