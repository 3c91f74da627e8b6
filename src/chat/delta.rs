//! The parts of an answer, as they come.

use super::message::FunctionCall;

/// More of one part of an answer; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delta {
    /// Content.
    Content(String),
    /// Reasoning.
    Reasoning(String),
    /// A function call, whole.
    ToolCall(FunctionCall),
}
