//! Finds the calls in content, while it is being written. Not here: executing them.
//!
//! A call is returned whole, once its closing tag has been written. Newlines around it are dropped. Text that begins
//! like a call but is not one stays content, unchanged.

mod format;
mod held;
mod hermes;
mod rules;
mod xml;

use std::mem;

use serde_json::Value;

use super::delta::Delta;
use super::reasoning::begun;
use format::{CLOSE, OPEN, Parsed};

pub(super) use format::TAGS;
pub use format::ToolFormat;
pub use held::Unheld;
pub use rules::{CallRules, Calls};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Between calls.
    Text {
        /// Whether only newlines have followed the last call.
        after_call: bool,
    },
    /// After an opening tag.
    Call(Opened),
}

/// A call that is being written; the held text begins with its tag, or with newlines before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Opened {
    /// Where the text after the opening tag begins.
    body: usize,
    /// The length of the held text that has no closing tag that could be the end.
    searched: usize,
    /// Where the first closing tag ended that could not be the end.
    passed: Option<usize>,
}

/// Takes content and returns deltas, none of which is reasoning.
#[derive(Debug, Clone)]
pub(super) struct ToolParser {
    format: ToolFormat,
    tools: Vec<Value>,
    state: State,
    held: String,
    /// Texts that begin like a call and are not one.
    unread: usize,
}

impl ToolParser {
    pub(super) fn new(format: ToolFormat, tools: &[Value]) -> Self {
        let (state, held) = (State::Text { after_call: false }, String::new());
        Self { format, tools: tools.to_vec(), state, held, unread: 0 }
    }

    /// The number of texts so far that begin like a call and stayed content.
    pub(super) fn unread(&self) -> usize {
        self.unread
    }

    pub(super) fn push(&mut self, text: &str, deltas: &mut Vec<Delta>) {
        self.held.push_str(text);
        while self.advance(deltas, false) {}
    }

    /// Returns the text that was held back: a call that never ended is content.
    pub(super) fn finish(&mut self, deltas: &mut Vec<Delta>) {
        while self.advance(deltas, true) {}
        self.unread += usize::from(matches!(self.state, State::Call(_)));
        let end = self.held.len();
        self.give(end, deltas);
    }

    fn advance(&mut self, deltas: &mut Vec<Delta>, last: bool) -> bool {
        match self.state {
            State::Text { after_call } => self.text(after_call, deltas),
            State::Call(opened) => self.call(opened, deltas, last),
        }
    }

    fn text(&mut self, after_call: bool, deltas: &mut Vec<Delta>) -> bool {
        if after_call {
            self.held = self.held.trim_start_matches('\n').to_owned();
        }
        let tag = self.held.find(OPEN);
        let end = tag.unwrap_or(self.held.len() - begun(&self.held, OPEN));
        let certain = self.held[..end].trim_end_matches('\n').len();
        if certain > 0 {
            self.give(certain, deltas);
        }
        if tag.is_some() {
            let body = end - certain + OPEN.len();
            self.state = State::Call(Opened { body, searched: body, passed: None });
        }
        tag.is_some()
    }

    fn call(&mut self, opened: Opened, deltas: &mut Vec<Delta>, last: bool) -> bool {
        let Opened { body, searched, passed } = opened;
        if !self.may_be_call(body) {
            self.give(body, deltas);
            return true;
        }
        let Some(at) = self.held[searched..].find(CLOSE).map(|at| searched + at) else {
            let searched = body.max(self.held.len() - begun(&self.held, CLOSE));
            self.state = State::Call(Opened { searched, ..opened });
            return false;
        };
        let end = at + CLOSE.len();
        let first = passed.unwrap_or(end);
        match self.parse(&self.held[body..at]) {
            Parsed::Call(call) => {
                deltas.push(Delta::ToolCall(call));
                self.held.drain(..end);
                self.state = State::Text { after_call: true };
            }
            Parsed::Incomplete if !last => {
                self.state = State::Call(Opened { searched: end, passed: Some(first), ..opened });
            }
            Parsed::Incomplete | Parsed::Malformed => {
                self.unread += 1;
                self.give(first, deltas);
            }
        }
        true
    }

    /// Returns the held text up to `end` as content; the rest is between calls.
    fn give(&mut self, end: usize, deltas: &mut Vec<Delta>) {
        let rest = self.held.split_off(end);
        let given = mem::replace(&mut self.held, rest);
        if !given.is_empty() {
            deltas.push(Delta::Content(given));
        }
        self.state = State::Text { after_call: false };
    }

    /// Whether the text after an opening tag begins like a call, as far as it has been written.
    fn may_be_call(&self, body: usize) -> bool {
        let text = self.held[body..].trim_start();
        let begin = match self.format {
            ToolFormat::Hermes => "{",
            ToolFormat::Xml => xml::FUNCTION,
        };
        text.starts_with(begin) || begin.starts_with(text)
    }

    fn parse(&self, body: &str) -> Parsed {
        match self.format {
            ToolFormat::Hermes => hermes::parse(body),
            ToolFormat::Xml => xml::parse(body, &self.tools),
        }
    }
}

#[cfg(test)]
mod tests;
