//! The parts of an answer, as they arrive.

use super::message::FunctionCall;

/// A further piece of one part of an answer; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delta {
    /// Content.
    Content(String),
    /// Content between two messages of an answer, which the model did not write.
    Between(&'static str),
    /// Reasoning.
    Reasoning(String),
    /// A function call, whole.
    ToolCall(FunctionCall),
}
