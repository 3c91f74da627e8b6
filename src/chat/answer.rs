//! An answer's text to its parts: thinking first, then what is said, with the calls in it.

use serde_json::Value;

use super::tools::ToolParser;
use super::{FunctionCall, Place, ReasoningParser, Start, Template, ToolFormat};

/// More of one of the parts of an answer; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delta {
    /// What the model says.
    Content(String),
    /// What the model thinks.
    Reasoning(String),
    /// A function the model calls, whole.
    ToolCall(FunctionCall),
}

/// Takes an answer's text as it is written and gives deltas.
///
/// However the text is cut, the joined deltas are the same. A call inside the thinking is thinking.
#[derive(Debug, Clone)]
pub struct AnswerParser {
    reasoning: ReasoningParser,
    tools: Option<ToolParser>,
}

impl AnswerParser {
    /// Chooses how to read the answer to a prompt that this template made of a conversation with these tools.
    #[must_use]
    pub fn of(template: &Template, prompt: &str, tools: &[Value]) -> Self {
        Self::new(Start::of(template, prompt), ToolFormat::of(template.source(), tools), tools)
    }

    /// Reads an answer that begins so and calls functions so, if at all.
    #[must_use]
    pub fn new(start: Start, format: Option<ToolFormat>, tools: &[Value]) -> Self {
        let tools = format.map(|format| ToolParser::new(format, tools));
        Self { reasoning: ReasoningParser::new(start), tools }
    }

    /// Where the text seen so far ends.
    #[must_use]
    pub fn place(&self) -> Place {
        self.reasoning.place()
    }

    /// Takes more text.
    pub fn push(&mut self, text: &str) -> Vec<Delta> {
        let parts = self.reasoning.push(text);
        self.with_calls(parts)
    }

    /// Gives what was held back when no more text comes.
    pub fn finish(&mut self) -> Vec<Delta> {
        let parts = self.reasoning.finish();
        let mut deltas = self.with_calls(parts);
        if let Some(tools) = &mut self.tools {
            tools.finish(&mut deltas);
        }
        deltas
    }

    fn with_calls(&mut self, parts: Vec<Delta>) -> Vec<Delta> {
        let Some(tools) = &mut self.tools else { return parts };
        let mut deltas = Vec::new();
        for part in parts {
            match part {
                Delta::Content(text) => tools.push(&text, &mut deltas),
                other => deltas.push(other),
            }
        }
        deltas
    }
}

#[cfg(test)]
mod tests;
