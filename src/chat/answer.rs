//! Splits the text of an answer into its parts: reasoning, then content with calls in it.

use serde_json::Value;

use super::delta::Delta;
use super::harmony::HarmonyParser;
use super::reasoning::{Place, ReasoningParser};
use super::tags::{Start, Tags};
use super::template::Template;
use super::tools::{ToolFormat, ToolParser, names};
use super::unclosed::UnclosedParser;

/// Takes the text of an answer as it is written and returns deltas.
///
/// However the text is split, the joined deltas are the same. A call inside the reasoning is reasoning, unless the answer
/// ends with it.
#[derive(Debug, Clone)]
pub struct AnswerParser(Form);

/// The form of an answer.
#[derive(Debug, Clone)]
enum Form {
    /// Reasoning in tags at the beginning, then content with calls.
    Tags { reasoning: ReasoningParser, calls: Option<Box<CallParsers>> },
    /// Messages in channels.
    Harmony(HarmonyParser),
}

#[derive(Debug, Clone)]
struct CallParsers {
    reasoning: UnclosedParser,
    content: ToolParser,
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
        let calls = format.and_then(ToolFormat::syntax).map(|syntax| {
            let content = ToolParser::new(syntax, tools);
            Box::new(CallParsers { reasoning: UnclosedParser::new(content.clone(), names(tools)), content })
        });
        Self(Form::Tags { reasoning: ReasoningParser::new(start), calls })
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
            Form::Tags { calls, .. } => calls.as_deref().map_or(0, |calls| calls.content.unread()),
            Form::Harmony(parser) => parser.unread(),
        }
    }

    /// Takes more text.
    pub fn push(&mut self, text: &str) -> Vec<Delta> {
        match &mut self.0 {
            Form::Tags { reasoning, calls: None } => reasoning.push(text),
            Form::Tags { reasoning, calls: Some(calls) } => {
                let mut deltas = Vec::new();
                calls.push(reasoning.push(text), reasoning.place(), &mut deltas);
                deltas
            }
            Form::Harmony(parser) => parser.push(text),
        }
    }

    /// Returns the text that was held back, at the end of the answer.
    pub fn finish(&mut self) -> Vec<Delta> {
        match &mut self.0 {
            Form::Tags { reasoning, calls: None } => reasoning.finish(),
            Form::Tags { reasoning, calls: Some(calls) } => {
                let mut deltas = Vec::new();
                calls.push(reasoning.finish(), reasoning.place(), &mut deltas);
                calls.reasoning.finish(&mut deltas);
                calls.content.finish(&mut deltas);
                deltas
            }
            Form::Harmony(parser) => parser.finish(),
        }
    }
}

impl CallParsers {
    /// Finds the calls in parts of an answer, the last of which ends at a place.
    fn push(&mut self, parts: Vec<Delta>, place: Place, deltas: &mut Vec<Delta>) {
        for part in parts {
            match part {
                Delta::Reasoning(text) => self.reasoning.push(&text, deltas),
                Delta::Content(text) => {
                    self.reasoning.close(deltas);
                    self.content.push(&text, deltas);
                }
                other => deltas.push(other),
            }
        }
        if matches!(place, Place::Content { .. }) {
            self.reasoning.close(deltas);
        }
    }
}

#[cfg(test)]
mod tests;
