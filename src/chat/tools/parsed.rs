//! The result of reading the text of a call.

use serde_json::{Map, Value};

use crate::chat::message::FunctionCall;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Parsed {
    /// One or more calls.
    Calls(Vec<FunctionCall>),
    /// The end may have been part of an argument: the call continues.
    Incomplete,
    Malformed,
}

impl Parsed {
    pub(super) fn call(name: &str, arguments: Map<String, Value>) -> Self {
        Self::Calls(vec![FunctionCall { name: name.to_owned(), arguments: arguments.into() }])
    }
}

/// The length of the name of a function at the beginning of a text.
pub(super) fn name_length(text: &str) -> usize {
    let is_part = |c: char| c.is_alphanumeric() || "_-.:/".contains(c);
    text.find(|c| !is_part(c)).unwrap_or(text.len())
}

/// Whether a text begins with another, as far as it has been written.
pub(super) fn may_begin_with(text: &str, begin: &str) -> bool {
    text.starts_with(begin) || begin.starts_with(text)
}

/// The functions of tools, which may be the functions themselves.
pub(super) fn functions(tools: &[Value]) -> impl Iterator<Item = &Value> {
    tools.iter().map(|tool| tool.get("function").unwrap_or(tool))
}

/// The names of the functions.
pub(in crate::chat) fn names(tools: &[Value]) -> Vec<String> {
    functions(tools).filter_map(|function| function["name"].as_str()).map(str::to_owned).collect()
}

/// Whether there is a function of this name.
pub(super) fn is_known(name: &str, tools: &[Value]) -> bool {
    functions(tools).any(|function| function["name"] == name)
}
