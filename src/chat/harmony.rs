//! Splits an answer in Harmony, the messages of gpt-oss, while it is being written.
//!
//! A message is a header and a text: the channel `analysis` has reasoning, `commentary` and `final` have content, and a
//! message to `functions.NAME` is a call. The joined deltas are the same however the text is split. Messages of one
//! part are joined by an empty line. Text in another form is content, unchanged.

use serde::de::IgnoredAny;
use serde_json::Value;

use super::channels::{ANALYSIS, ASSISTANT, CALL, CHANNEL, END, FUNCTIONS, MESSAGE, RETURN, START};
use super::delta::Delta;
use super::message::FunctionCall;
use super::pending::Pending;
use super::reasoning::{Place, begun};
use super::tags::Start;
use super::tools::READ;

/// The tags that end the text of a message: those of its end, and those of the next message.
const ENDS: [&str; 5] = [END, CALL, RETURN, START, CHANNEL];
/// The beginning of every tag.
const TAG: &str = "<|";
/// The beginnings of a header, after whitespace.
const HEADERS: [&str; 4] = [START, CHANNEL, MESSAGE, "to="];
/// The maximum length of a header in bytes, and of the whitespace before one.
const HEADER: usize = 512;
/// The text between two messages of one part, which the model did not write.
const BETWEEN: &str = "\n\n";

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// In the header of a message, which the held text begins with.
    Header,
    Reasoning,
    Content,
    /// In the arguments of a call, whose header and arguments are the held text.
    Call {
        name: String,
        /// The length of the header.
        text: usize,
        /// The length of the held text in which no further tag ends the arguments.
        searched: usize,
        /// The place and length of the first tag that was taken for a part of the arguments.
        passed: Option<(usize, usize)>,
    },
}

/// Takes the text of an answer and returns deltas.
#[derive(Debug, Clone)]
pub(super) struct HarmonyParser {
    state: State,
    /// The functions that may be called; `None`: calls are content.
    functions: Option<Vec<String>>,
    held: Pending,
    /// Which parts have text.
    has_reasoning: bool,
    has_content: bool,
    /// The text of a message has ended, and none of the next has come.
    is_next: bool,
    /// Bytes that may still be read as arguments.
    left: usize,
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
            held: Pending::default(),
            has_reasoning: false,
            has_content: false,
            is_next: false,
            left: READ,
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
        self.held.push(text);
        let mut deltas = Vec::new();
        while self.advance(&mut deltas) {}
        deltas
    }

    /// Returns the text that was held back. The end of the answer also ends a call: its tag ends the answer.
    pub(super) fn finish(&mut self) -> Vec<Delta> {
        let mut deltas = Vec::new();
        while let State::Call { name, text, passed, .. } = &self.state {
            let (name, text, passed) = (name.clone(), *text, *passed);
            let (at, length) = match passed {
                Some(passed) if self.kind_of(text, self.held.len()) != Arguments::Whole => passed,
                _ => (self.held.len(), 0),
            };
            self.end_call(&name, text, at, length, &mut deltas);
            while self.advance(&mut deltas) {}
        }
        let held = self.held.take_all();
        match self.state {
            State::Header => self.cut_header(held, &mut deltas),
            State::Reasoning => self.reasoning(&held, &mut deltas),
            State::Content | State::Call { .. } => self.content(held, &mut deltas),
        }
        deltas
    }

    /// Takes what may be the beginning of a header, at the end of the answer. The header of a call is content, as other
    /// calls that are cut; any other header is dropped.
    fn cut_header(&mut self, header: String, deltas: &mut Vec<Delta>) {
        let is_call = match self.kind(&header) {
            Some(State::Call { .. }) => true,
            None => header.contains(CHANNEL),
            Some(_) => false,
        };
        self.unread += usize::from(is_call && self.functions.is_some());
        let begin = header.trim_start();
        let is_bare = [START, CHANNEL, MESSAGE].iter().any(|tag| begin.starts_with(tag)) || begin.is_empty();
        if is_call || !is_bare {
            self.content(header, deltas);
        }
    }

    fn advance(&mut self, deltas: &mut Vec<Delta>) -> bool {
        match &self.state {
            State::Header => self.header(deltas),
            State::Reasoning | State::Content => self.text(deltas),
            State::Call { .. } => self.call(deltas),
        }
    }

    fn header(&mut self, deltas: &mut Vec<Delta>) -> bool {
        let begin = self.held.trim_start();
        let space = self.held.len() - begin.len();
        if space > HEADER || !is_header(begin) {
            self.state = State::Content;
            return true;
        }
        if begin.is_empty() {
            return false;
        }
        let most = self.held.floor_char_boundary(HEADER + MESSAGE.len());
        let Some(at) = self.held[..most].find(MESSAGE) else {
            if most == self.held.len() {
                return false;
            }
            self.pass_header(self.held.floor_char_boundary(HEADER), deltas);
            return true;
        };
        let text = at + MESSAGE.len();
        match self.kind(&self.held[..at]) {
            Some(State::Call { name, .. }) => {
                self.state = State::Call { name, text, searched: text, passed: None };
            }
            Some(state) => {
                self.state = state;
                self.held.skip(text);
            }
            None => {
                self.unread += usize::from(self.functions.is_some());
                self.pass_header(text, deltas);
            }
        }
        true
    }

    /// Passes on a header as content, which the text of its message is too.
    fn pass_header(&mut self, length: usize, deltas: &mut Vec<Delta>) {
        let header = self.held.take(length);
        self.content(header, deltas);
        self.state = State::Content;
    }

    /// The state after a header; `None`: it is that of a call, but not of a function.
    fn kind(&self, header: &str) -> Option<State> {
        let header = header.rsplit_once(START).map_or(header, |(_, header)| header);
        let recipient = header.split_once("to=").map(|(_, to)| word(to));
        let recipient = recipient.filter(|to| !["", "user", ASSISTANT].contains(to));
        if let (Some(to), Some(known)) = (recipient, &self.functions) {
            let function = to.strip_prefix(FUNCTIONS).or_else(|| known.iter().any(|f| f == to).then_some(to));
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
        // A model may write the beginning of a header before another.
        let channel = header.rsplit_once(CHANNEL).map(|(_, channel)| word(channel));
        Some(if channel == Some(ANALYSIS) { State::Reasoning } else { State::Content })
    }

    /// Passes on the text of a message up to its end.
    fn text(&mut self, deltas: &mut Vec<Delta>) -> bool {
        let found = end_of(&self.held, 0);
        let end = found.map_or_else(|| self.held.len() - open_end(&self.held), |(at, _)| at);
        let text = self.held.take(end);
        match self.state {
            State::Reasoning => self.reasoning(&text, deltas),
            _ => self.content(text, deltas),
        }
        if let Some((_, length)) = found {
            self.end(length);
        }
        found.is_some()
    }

    fn call(&mut self, deltas: &mut Vec<Delta>) -> bool {
        let State::Call { name, text, searched, passed } = &self.state else { return false };
        let (name, text, passed) = (name.clone(), *text, *passed);
        let Some((at, length)) = end_of(&self.held, *searched) else {
            let searched = text.max(self.held.len() - open_end(&self.held));
            self.state = State::Call { name, text, searched, passed };
            return false;
        };
        let (at, length) = match self.kind_of(text, at) {
            Arguments::Whole => (at, length),
            Arguments::Cut => {
                // The tag may be within a string.
                let passed = passed.or(Some((at, length)));
                self.state = State::Call { name, text, searched: at + length, passed };
                return true;
            }
            Arguments::Malformed => passed.unwrap_or((at, length)),
        };
        self.end_call(&name, text, at, length, deltas);
        true
    }

    /// What a part of the held text is as the arguments of a call. It is read again for each tag in it: once more than
    /// [`READ`] bytes have been read, calls are content.
    fn kind_of(&mut self, text: usize, end: usize) -> Arguments {
        self.left = self.left.saturating_sub(end - text);
        if self.left == 0 {
            self.functions = None;
            return Arguments::Malformed;
        }
        kind_of(&self.held[text..end])
    }

    /// Ends a call whose arguments end at `at`, before a tag of this length.
    fn end_call(&mut self, name: &str, text: usize, at: usize, length: usize, deltas: &mut Vec<Delta>) {
        let call = serde_json::from_str(&self.held[text..at]).ok().filter(Value::is_object);
        if let Some(arguments) = call {
            self.held.skip(at);
            deltas.push(Delta::ToolCall(FunctionCall { name: name.to_owned(), arguments }));
        } else {
            self.unread += 1;
            let given = self.held.take(at);
            self.content(given, deltas);
        }
        self.end(length);
    }

    /// Ends a message before a tag of this length, which may begin the next.
    fn end(&mut self, length: usize) {
        if !self.held.starts_with(START) && !self.held.starts_with(CHANNEL) {
            self.held.skip(length.min(self.held.len()));
        }
        (self.state, self.is_next) = (State::Header, true);
    }

    fn reasoning(&mut self, text: &str, deltas: &mut Vec<Delta>) {
        if !text.is_empty() {
            let between = if self.has_reasoning && self.is_next { BETWEEN } else { "" };
            (self.has_reasoning, self.is_next) = (true, false);
            deltas.push(Delta::Reasoning(format!("{between}{text}")));
        }
    }

    fn content(&mut self, text: String, deltas: &mut Vec<Delta>) {
        if !text.is_empty() {
            if self.has_content && self.is_next {
                deltas.push(Delta::Between(BETWEEN));
            }
            (self.has_content, self.is_next) = (true, false);
            deltas.push(Delta::Content(text));
        }
    }
}

/// The first word of a text, up to whitespace or a tag.
fn word(text: &str) -> &str {
    text.trim_start().split(|c: char| c.is_whitespace() || c == '<').next().unwrap_or_default()
}

/// Whether a text is the header of a message, as far as it has been written.
fn is_header(text: &str) -> bool {
    HEADERS.iter().any(|begin| text.starts_with(begin) || begin.starts_with(text))
}

/// The first tag at or after a place that ends a text, and its length.
fn end_of(text: &str, from: usize) -> Option<(usize, usize)> {
    text[from..].match_indices(TAG).find_map(|(at, _)| {
        let end = ENDS.iter().find(|end| text[from + at..].starts_with(**end))?;
        Some((from + at, end.len()))
    })
}

/// The number of bytes at the end of a text that may be the beginning of a tag that ends it.
fn open_end(text: &str) -> usize {
    ENDS.iter().map(|end| begun(text, end)).max().unwrap_or(0)
}

/// What a text is as the arguments of a call.
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
