//! The items of an output.

use serde_json::{Value, json};

use crate::chat::ToolCall;

/// What `encrypted_content` begins with if it is the reasoning itself. Clients that drop `content` send it back.
const CARRIED: &str = "ggrun:";

/// The reasoning in an `encrypted_content`, if it is of this server.
pub(super) fn carried(text: &str) -> Option<&str> {
    text.strip_prefix(CARRIED)
}

/// An item.
#[derive(Debug, Clone)]
pub(super) struct Item {
    id: String,
    kind: Kind,
    is_cut: bool,
    carries: bool,
}

/// What an item is.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    /// Reasoning.
    Reasoning(String),
    /// Content.
    Message(String),
    /// A call of a function.
    Call(ToolCall),
}

impl Item {
    /// The item with this number in the output of the response `name`. With `carries`, reasoning is in its
    /// `encrypted_content` as well.
    pub(super) fn new(name: &str, number: usize, kind: Kind, carries: bool) -> Self {
        let prefix = match kind {
            Kind::Reasoning(_) => "rs",
            Kind::Message(_) => "msg",
            Kind::Call(_) => "fc",
        };
        Self { id: format!("{prefix}_{name}_{number}"), kind, is_cut: false, carries }
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn kind(&self) -> &Kind {
        &self.kind
    }

    pub(super) fn kind_mut(&mut self) -> &mut Kind {
        &mut self.kind
    }

    /// Marks it as not written to its end.
    pub(super) fn cut(&mut self) {
        self.is_cut = true;
    }

    /// The item before its text.
    pub(super) fn begun(&self) -> Value {
        self.object("in_progress", &json!([]), None, "")
    }

    /// The item with all of its text.
    pub(super) fn whole(&self) -> Value {
        let (content, carried, arguments) = match &self.kind {
            Kind::Reasoning(text) => {
                let carried = self.carries.then(|| format!("{CARRIED}{text}"));
                (json!([{ "type": "reasoning_text", "text": text }]), carried, String::new())
            }
            Kind::Message(text) => (json!([part(text)]), None, String::new()),
            Kind::Call(call) => (Value::Null, None, call.function.arguments_text()),
        };
        let status = if self.is_cut { "incomplete" } else { "completed" };
        self.object(status, &content, carried.as_deref(), &arguments)
    }

    fn object(&self, status: &str, content: &Value, carried: Option<&str>, arguments: &str) -> Value {
        let id = &self.id;
        match &self.kind {
            Kind::Reasoning(_) => json!({
                "id": id, "type": "reasoning", "status": status, "summary": [], "content": content,
                "encrypted_content": carried,
            }),
            Kind::Message(_) => json!({
                "id": id, "type": "message", "status": status, "role": "assistant", "content": content,
            }),
            Kind::Call(call) => json!({
                "id": id, "type": "function_call", "status": status, "call_id": call.id,
                "name": call.function.name, "arguments": arguments,
            }),
        }
    }
}

/// The part of a message.
pub(super) fn part(text: &str) -> Value {
    json!({ "type": "output_text", "text": text, "annotations": [], "logprobs": [] })
}
