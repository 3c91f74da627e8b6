//! What a template can render, found by rendering short conversations.

use std::sync::OnceLock;

use serde_json::json;

use super::ids;
use super::message::{Content, FunctionCall, Message, Role, ToolCall, ToolKind};
use super::tools::ToolFormat;

/// Texts that no template writes.
pub(super) const PROBES: [&str; 2] = ["qzfirstqz", "qzsecondqz"];

/// What is known about a template so far.
#[derive(Debug, Default)]
pub(super) struct Probes {
    /// For each role, whether its content may be a text, and whether it may be a list.
    texts: [OnceLock<bool>; 5],
    lists: [OnceLock<bool>; 5],
    null: OnceLock<bool>,
    absent: OnceLock<bool>,
    any_id: OnceLock<bool>,
    several_calls: OnceLock<bool>,
    format: OnceLock<Option<ToolFormat>>,
}

impl Probes {
    /// Whether the content of a role may be a text.
    pub(super) fn takes_text(&self, role: Role, render: impl Fn(&[Message]) -> Option<String>) -> bool {
        let probe = || {
            let text = render(&around(role, Content::Text(PROBES[0].to_owned())));
            text.is_some_and(|text| has(&text, PROBES[0]))
        };
        *self.texts[role as usize].get_or_init(probe)
    }

    /// Whether the content of a role may be a list of parts, all of which are rendered as text.
    pub(super) fn takes_list(&self, role: Role, render: impl Fn(&[Message]) -> Option<String>) -> bool {
        let probe = || {
            let parts = PROBES.map(|text| json!({"type": "text", "text": text}));
            let text = render(&around(role, Content::Parts(parts.to_vec())));
            text.is_some_and(|text| PROBES.iter().all(|probe| has(&text, probe)))
        };
        *self.lists[role as usize].get_or_init(probe)
    }

    /// Whether the content beside a call may be null: it fails on it, or writes it as Python does.
    pub(super) fn takes_null(&self, render: impl Fn(&[Message]) -> Option<String>) -> bool {
        *self.null.get_or_init(|| is_as_empty(Content::Null, render))
    }

    /// Whether the content beside a call may be omitted.
    pub(super) fn takes_absent(&self, render: impl Fn(&[Message]) -> Option<String>) -> bool {
        *self.absent.get_or_init(|| is_as_empty(Content::Absent, render))
    }

    /// Whether a call may have any id. Some templates take nine characters only.
    pub(super) fn takes_any_id(&self, render: impl Fn(&[Message]) -> Option<String>) -> bool {
        let rendered = |id: &str| {
            let mut messages = [question(), call(Content::Text(String::new())), result()];
            messages[1].tool_calls[0].id = Some(id.to_owned());
            messages[2].tool_call_id = Some(id.to_owned());
            render(&messages)
        };
        *self.any_id.get_or_init(|| rendered("c0").is_some() || rendered(&ids::of(0)).is_none())
    }

    /// Whether one message may have several calls, if it may have any.
    pub(super) fn takes_several_calls(&self, render: impl Fn(&[Message]) -> Option<String>) -> bool {
        let function = |name: &str| FunctionCall { name: name.to_owned(), arguments: json!({}) };
        let rendered = |names: &[&str]| {
            let functions: Vec<_> = names.iter().map(|name| function(name)).collect();
            let text = render(&[question(), calls(Content::Text(String::new()), &functions)])?;
            names.iter().all(|name| text.contains(name)).then_some(())
        };
        *self.several_calls.get_or_init(|| rendered(&PROBES).is_some() || rendered(&PROBES[..1]).is_none())
    }

    /// The syntax of calls, which is found once.
    pub(super) fn format(&self, find: impl FnOnce() -> Option<ToolFormat>) -> Option<ToolFormat> {
        *self.format.get_or_init(find)
    }
}

/// Whether a template that renders an empty content beside a call renders this one too, without `None`.
fn is_as_empty(content: Content, render: impl Fn(&[Message]) -> Option<String>) -> bool {
    let rendered = |content| render(&[question(), call(content), result()]);
    let nones = |text: String| text.matches("None").count();
    let empty = rendered(Content::Text(String::new())).map(nones);
    empty.is_none() || rendered(content).map(nones) == empty
}

/// Whether a text contains a probe, but not as a string of JSON or Python.
fn has(text: &str, probe: &str) -> bool {
    let text = text.to_lowercase();
    let quoted = ['\'', '"'].iter().any(|quote| text.contains(&format!("{quote}{probe}{quote}")));
    text.contains(probe) && !quoted
}

/// A conversation in which a role has a content.
fn around(role: Role, content: Content) -> Vec<Message> {
    let message = Message { content, ..Message::new(role, "") };
    match role {
        Role::System | Role::Developer => vec![message, question()],
        Role::User => vec![message],
        Role::Assistant => vec![question(), message, question()],
        Role::Tool => {
            let answered = Message { tool_call_id: result().tool_call_id, ..message };
            vec![question(), call(Content::Text(String::new())), answered]
        }
    }
}

fn question() -> Message {
    Message::new(Role::User, "x")
}

fn call(content: Content) -> Message {
    calls(content, &[FunctionCall { name: "f".to_owned(), arguments: json!({}) }])
}

pub(super) fn calls(content: Content, functions: &[FunctionCall]) -> Message {
    let call = |function: &FunctionCall| ToolCall {
        id: Some("call_0000".to_owned()),
        kind: ToolKind::Function,
        function: function.clone(),
    };
    let tool_calls = functions.iter().map(call).collect();
    Message { content, tool_calls, ..Message::new(Role::Assistant, "") }
}

fn result() -> Message {
    Message { tool_call_id: Some("call_0000".to_owned()), ..Message::new(Role::Tool, "x") }
}
