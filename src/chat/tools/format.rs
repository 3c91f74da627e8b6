//! The syntaxes of tool calls.

use serde_json::Value;

use crate::chat::message::FunctionCall;

/// Tags of calls and of their results.
pub(in crate::chat) const TAGS: [&str; 4] = [OPEN, CLOSE, "<tool_response>", "</tool_response>"];
pub(super) const OPEN: &str = "<tool_call>";
pub(super) const CLOSE: &str = "</tool_call>";

/// The syntax of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToolFormat {
    /// `<tool_call>{"name": NAME, "arguments": OBJECT}</tool_call>`, as Hermes and most of Qwen do.
    Hermes,
    /// `<tool_call><function=NAME><parameter=KEY>TEXT</parameter></function></tool_call>`, as Qwen3-Coder does.
    Xml,
}

impl ToolFormat {
    /// The format in a template; `None` if it has neither of these, or there are no tools to call.
    #[must_use]
    pub fn of(template: &str, tools: &[Value]) -> Option<Self> {
        let has = |text| template.contains(text);
        if tools.is_empty() || !has(OPEN) {
            None
        } else if has("<function=") && has("<parameter=") {
            Some(Self::Xml)
        } else {
            // Others put keys and values in separate tags.
            (has("arguments") && !has("<arg_key>")).then_some(Self::Hermes)
        }
    }
}

/// The text between the tags of a call.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Parsed {
    Call(FunctionCall),
    /// The closing tag may have been part of an argument: the call continues.
    Incomplete,
    Malformed,
}
