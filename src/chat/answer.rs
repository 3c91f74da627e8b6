//! Splits the text of an answer into its parts: reasoning, then content with calls in it.

use serde_json::Value;

use super::delta::Delta;
use super::reasoning::{Place, ReasoningParser};
use super::tags::Start;
use super::template::Template;
use super::tools::{ToolFormat, ToolParser};

/// Takes the text of an answer as it is written and returns deltas.
///
/// However the text is split, the joined deltas are the same. A call inside the reasoning is reasoning.
#[derive(Debug, Clone)]
pub struct AnswerParser {
    reasoning: ReasoningParser,
    tools: Option<ToolParser>,
}

impl AnswerParser {
    /// A parser for the answer to a prompt of this template, in a conversation with these tools.
    #[must_use]
    pub fn of(template: &Template, prompt: &str, tools: &[Value]) -> Self {
        Self::new(template.start(prompt), ToolFormat::of(template.source(), tools), tools)
    }

    /// A parser for an answer that begins there, with calls in this format if it has any.
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

    /// The number of texts so far that begin like a call, could not be read as one and stayed content.
    #[must_use]
    pub fn unread_calls(&self) -> usize {
        self.tools.as_ref().map_or(0, ToolParser::unread)
    }

    /// Takes more text.
    pub fn push(&mut self, text: &str) -> Vec<Delta> {
        let parts = self.reasoning.push(text);
        self.with_calls(parts)
    }

    /// Returns the text that was held back, at the end of the answer.
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
