//! Splits an answer in Harmony, the messages of gpt-oss, while it is being written.
//!
//! A message is a header and a text: the channel `analysis` has reasoning, `commentary` and `final` have content, and a
//! message to `functions.NAME` is a call. The joined deltas are the same however the text is split. Messages of one
//! part are joined by an empty line. Text in another form is content, unchanged.

use std::mem;

use serde::de::IgnoredAny;
use serde_json::Value;

use super::delta::Delta;
use super::message::FunctionCall;
use super::reasoning::{Place, begun};
use super::tags::Start;

const START: &str = "<|start|>";
const CHANNEL: &str = "<|channel|>";
const MESSAGE: &str = "<|message|>";
/// What ends a text: its own tag, or the next message.
const ENDS: [&str; 5] = ["<|end|>", "<|call|>", "<|return|>", START, CHANNEL];
/// What a header begins with, after whitespace.
const HEADERS: [&str; 4] = [START, CHANNEL, MESSAGE, "to="];
/// Bytes of a header.
const HEADER: usize = 512;
/// Between messages of one part.
const BETWEEN: &str = "\n\n";

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// Before the text of a message; the held text is its header.
    Header,
    Reasoning,
    Content,
    /// The text of a call, which begins at this place of the held text.
    Call {
        name: String,
        text: usize,
        /// The length of the held text without an end.
        searched: usize,
        /// The first end that was within a string of the arguments, or ended them too early: its place and length.
        passed: Option<(usize, usize)>,
    },
}

/// Takes the text of an answer and returns deltas.
#[derive(Debug, Clone)]
pub(super) struct HarmonyParser {
    state: State,
    /// The functions that may be called; `None`: calls are content.
    functions: Option<Vec<String>>,
    held: String,
    /// Which parts have text.
    has_reasoning: bool,
    has_content: bool,
    /// A part continues in another message.
    is_next: bool,
    unread: usize,
}

impl HarmonyParser {
    pub(super) fn new(start: Start, functions: Option<Vec<String>>) -> Self {
        let state = match start {
            Start::Content(_) | Start::Unopened(_) => State::Header,
            Start::Reasoning(_) | Start::MidReasoning(_) => State::Reasoning,
            Start::MidContent(_) => State::Content,
        };
        Self {
            state,
            functions,
            held: String::new(),
            has_reasoning: false,
            has_content: false,
            is_next: false,
            unread: 0,
        }
    }

    /// Where the text seen so far ends.
    pub(super) fn place(&self) -> Place {
        match self.state {
            State::Reasoning => Place::Reasoning,
            State::Header if !self.has_reasoning && !self.has_content => Place::Unknown,
            State::Header | State::Content | State::Call { .. } => {
                Place::Content { reasoned: self.has_reasoning }
            }
        }
    }

    pub(super) fn unread(&self) -> usize {
        self.unread
    }

    pub(super) fn push(&mut self, text: &str) -> Vec<Delta> {
        self.held.push_str(text);
        let mut deltas = Vec::new();
        while self.advance(&mut deltas) {}
        deltas
    }

    /// Returns the text that was held back. The end of the answer also ends a call: its tag ends the answer.
    pub(super) fn finish(&mut self) -> Vec<Delta> {
        let mut deltas = Vec::new();
        while let State::Call { name, text, passed, .. } = &self.state {
            let (name, text, whole) = (name.clone(), *text, self.held.len());
            let (at, length) = match *passed {
                Some(passed) if kind_of(&self.held[text..]) != Arguments::Whole => passed,
                _ => (whole, 0),
            };
            self.end_call(&name, text, at, length, &mut deltas);
            while self.advance(&mut deltas) {}
        }
        let held = mem::take(&mut self.held);
        match self.state {
            // The beginning of a message that has no text yet.
            State::Header if is_begun(&held) => {}
            State::Reasoning => self.reasoning(held, &mut deltas),
            State::Header | State::Content | State::Call { .. } => self.content(held, &mut deltas),
        }
        deltas
    }

    fn advance(&mut self, deltas: &mut Vec<Delta>) -> bool {
        match &self.state {
            State::Header => self.header(deltas),
            State::Reasoning | State::Content => self.text(deltas),
            State::Call { .. } => self.call(deltas),
        }
    }

    fn header(&mut self, deltas: &mut Vec<Delta>) -> bool {
        if self.held.trim_start().is_empty() {
            return false;
        }
        if !is_header(&self.held) {
            self.state = State::Content;
            return true;
        }
        let Some(at) = self.held.find(MESSAGE).filter(|at| *at <= HEADER) else {
            if self.held.len() <= HEADER + MESSAGE.len() {
                return false;
            }
            self.give(self.held.floor_char_boundary(HEADER), deltas);
            return true;
        };
        let text = at + MESSAGE.len();
        match self.kind(&self.held[..at]) {
            Some(State::Call { name, .. }) => {
                self.state = State::Call { name, text, searched: text, passed: None };
            }
            Some(state) => {
                self.state = state;
                self.held.drain(..text);
            }
            None => {
                self.unread += usize::from(self.functions.is_some());
                self.give(text, deltas);
            }
        }
        true
    }

    /// Returns a header as content, as all text up to the next end.
    fn give(&mut self, end: usize, deltas: &mut Vec<Delta>) {
        let rest = self.held.split_off(end);
        let header = mem::replace(&mut self.held, rest);
        self.content(header, deltas);
        self.state = State::Content;
    }

    /// What the text after a header is; `None`: a call that is not a function's.
    fn kind(&self, header: &str) -> Option<State> {
        let header = header.rsplit_once(START).map_or(header, |(_, header)| header);
        let word = |mark: &str| {
            let after = header.split_once(mark)?.1;
            after.split(|c: char| c.is_whitespace() || c == '<').next()
        };
        let recipient = word("to=").filter(|to| !to.is_empty() && *to != "user" && *to != "assistant");
        if let (Some(to), Some(known)) = (recipient, &self.functions) {
            let function =
                to.strip_prefix("functions.").or_else(|| known.iter().any(|f| f == to).then_some(to));
            return function.filter(|name| !name.is_empty()).map(|name| State::Call {
                name: name.to_owned(),
                text: 0,
                searched: 0,
                passed: None,
            });
        }
        if recipient.is_some() {
            return None;
        }
        Some(if word(CHANNEL) == Some("analysis") { State::Reasoning } else { State::Content })
    }

    /// Passes on the text of a message up to its end.
    fn text(&mut self, deltas: &mut Vec<Delta>) -> bool {
        let found = end_of(&self.held, 0);
        let end = found.map_or_else(|| self.held.len() - open_end(&self.held), |(at, _)| at);
        let rest = self.held.split_off(end);
        let text = mem::replace(&mut self.held, rest);
        match self.state {
            State::Reasoning => self.reasoning(text, deltas),
            _ => self.content(text, deltas),
        }
        if let Some((_, length)) = found {
            self.end(length);
        }
        found.is_some()
    }

    fn call(&mut self, deltas: &mut Vec<Delta>) -> bool {
        let State::Call { name, text, searched, passed } = &mut self.state else { return false };
        let Some((at, length)) = end_of(&self.held, *searched) else {
            *searched = (*text).max(self.held.len() - open_end(&self.held));
            return false;
        };
        let (at, length) = match kind_of(&self.held[*text..at]) {
            Arguments::Whole => (at, length),
            Arguments::Cut => {
                // The tag may be within a string.
                *searched = at + length;
                passed.get_or_insert((at, length));
                return true;
            }
            Arguments::Malformed => passed.unwrap_or((at, length)),
        };
        let (name, text) = (name.clone(), *text);
        self.end_call(&name, text, at, length, deltas);
        true
    }

    /// Ends a call whose arguments end at `at`, before a tag of this length.
    fn end_call(&mut self, name: &str, text: usize, at: usize, length: usize, deltas: &mut Vec<Delta>) {
        let call = serde_json::from_str(&self.held[text..at]).ok().filter(Value::is_object);
        let rest = self.held.split_off(at);
        let given = mem::replace(&mut self.held, rest);
        if let Some(arguments) = call {
            deltas.push(Delta::ToolCall(FunctionCall { name: name.to_owned(), arguments }));
        } else {
            self.unread += 1;
            self.content(given, deltas);
        }
        self.end(length);
    }

    /// Ends a message before a tag of this length, which may begin the next.
    fn end(&mut self, length: usize) {
        if !self.held.starts_with(START) && !self.held.starts_with(CHANNEL) {
            self.held.drain(..length.min(self.held.len()));
        }
        (self.state, self.is_next) = (State::Header, true);
    }

    fn reasoning(&mut self, text: String, deltas: &mut Vec<Delta>) {
        if !text.is_empty() {
            let text = Self::joined(self.has_reasoning && self.is_next, text);
            (self.has_reasoning, self.is_next) = (true, false);
            deltas.push(Delta::Reasoning(text));
        }
    }

    fn content(&mut self, text: String, deltas: &mut Vec<Delta>) {
        if !text.is_empty() {
            let text = Self::joined(self.has_content && self.is_next, text);
            (self.has_content, self.is_next) = (true, false);
            deltas.push(Delta::Content(text));
        }
    }

    fn joined(is_next: bool, text: String) -> String {
        if is_next { format!("{BETWEEN}{text}") } else { text }
    }
}

/// Whether a text is the header of a message, as far as it has been written.
fn is_header(text: &str) -> bool {
    let text = text.trim_start();
    HEADERS.iter().any(|begin| text.starts_with(begin) || begin.starts_with(text))
}

/// Whether a text has only the beginning of a header.
fn is_begun(text: &str) -> bool {
    let text = text.trim_start();
    text.is_empty() || HEADERS.iter().any(|begin| text.starts_with(begin))
}

/// The first end of a text at or after a place, and the length of its tag.
fn end_of(text: &str, from: usize) -> Option<(usize, usize)> {
    let ends = ENDS.iter().filter_map(|end| Some((from + text[from..].find(end)?, end.len())));
    ends.min()
}

/// The number of bytes at the end of a text that may be the beginning of an end.
fn open_end(text: &str) -> usize {
    ENDS.iter().map(|end| begun(text, end)).max().unwrap_or(0)
}

/// What the text of a call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Arguments {
    Whole,
    /// The beginning of JSON.
    Cut,
    Malformed,
}

fn kind_of(text: &str) -> Arguments {
    match serde_json::from_str::<IgnoredAny>(text) {
        Ok(IgnoredAny) => Arguments::Whole,
        Err(error) if error.is_eof() && !text.trim().is_empty() => Arguments::Cut,
        Err(_) => Arguments::Malformed,
    }
}

#[cfg(test)]
mod tests;
