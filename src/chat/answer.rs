//! Splits the text of an answer into its parts: reasoning, then content with calls in it.

use serde_json::Value;

use super::delta::Delta;
use super::harmony::HarmonyParser;
use super::reasoning::{Place, ReasoningParser};
use super::tags::{Start, Tags};
use super::template::Template;
use super::tools::{ToolFormat, ToolParser, names};

/// Takes the text of an answer as it is written and returns deltas.
///
/// However the text is split, the joined deltas are the same. A call inside the reasoning is reasoning.
#[derive(Debug, Clone)]
pub struct AnswerParser(Form);

/// The form of an answer.
#[derive(Debug, Clone)]
enum Form {
    /// Reasoning in tags at the beginning, then content with calls.
    Tags { reasoning: ReasoningParser, tools: Option<Box<ToolParser>> },
    /// Messages in channels.
    Harmony(HarmonyParser),
}

impl AnswerParser {
    /// A parser for the answer to a prompt of this template, in a conversation with these tools.
    #[must_use]
    pub fn of(template: &Template, prompt: &str, tools: &[Value]) -> Self {
        Self::new(template.start(prompt), template.tool_format(tools), tools)
    }

    /// A parser for an answer that begins there, with calls in this format if it has any.
    #[must_use]
    pub fn new(start: Start, format: Option<ToolFormat>, tools: &[Value]) -> Self {
        let is_harmony = format == Some(ToolFormat::Harmony);
        if is_harmony || start.tags() == Tags::HARMONY {
            return Self(Form::Harmony(HarmonyParser::new(start, is_harmony.then(|| names(tools)))));
        }
        let tools =
            format.and_then(ToolFormat::syntax).map(|syntax| Box::new(ToolParser::new(syntax, tools)));
        Self(Form::Tags { reasoning: ReasoningParser::new(start), tools })
    }

    /// Whether the text has headers of messages, which do not count as text of the answer.
    #[must_use]
    pub fn has_headers(&self) -> bool {
        matches!(self.0, Form::Harmony(_))
    }

    /// Where the text seen so far ends.
    #[must_use]
    pub fn place(&self) -> Place {
        match &self.0 {
            Form::Tags { reasoning, .. } => reasoning.place(),
            Form::Harmony(parser) => parser.place(),
        }
    }

    /// The number of texts so far that begin like a call, could not be read as one and stayed content.
    #[must_use]
    pub fn unread_calls(&self) -> usize {
        match &self.0 {
            Form::Tags { tools, .. } => tools.as_deref().map_or(0, ToolParser::unread),
            Form::Harmony(parser) => parser.unread(),
        }
    }

    /// Takes more text.
    pub fn push(&mut self, text: &str) -> Vec<Delta> {
        match &mut self.0 {
            Form::Tags { reasoning, tools } => with_calls(tools.as_deref_mut(), reasoning.push(text)),
            Form::Harmony(parser) => parser.push(text),
        }
    }

    /// Returns the text that was held back, at the end of the answer.
    pub fn finish(&mut self) -> Vec<Delta> {
        match &mut self.0 {
            Form::Tags { reasoning, tools } => {
                let mut deltas = with_calls(tools.as_deref_mut(), reasoning.finish());
                if let Some(tools) = tools {
                    tools.finish(&mut deltas);
                }
                deltas
            }
            Form::Harmony(parser) => parser.finish(),
        }
    }
}

fn with_calls(tools: Option<&mut ToolParser>, parts: Vec<Delta>) -> Vec<Delta> {
    let Some(tools) = tools else { return parts };
    let mut deltas = Vec::new();
    for part in parts {
        match part {
            Delta::Content(text) => tools.push(&text, &mut deltas),
            other => deltas.push(other),
        }
    }
    deltas
}

#[cfg(test)]
mod tests;
