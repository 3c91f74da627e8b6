//! Splits an answer into reasoning and content, while it is being written.
//!
//! However the text is split, the joined deltas are the same. Newlines right after the opening tag and around the
//! closing one belong to neither part. At the end, a block that was opened and never closed is reasoning.

use super::delta::Delta;
use super::pending::Pending;
use super::tags::Start;

/// Where a text ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Inside the reasoning.
    Reasoning,
    /// In the content.
    Content {
        /// Whether there was reasoning before it.
        reasoned: bool,
    },
    /// In the reasoning or in the content, depending on the text that follows.
    Unknown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// An opening tag may come.
    Opening {
        /// The length of the whitespace at the beginning of the held text.
        space: usize,
    },
    /// No opening tag came; a closing one may.
    Waiting {
        /// The length of the held text that has no closing tag.
        searched: usize,
    },
    /// Inside the block, before its first character.
    Opened,
    Reasoning {
        /// The number of newlines at the beginning of the held text.
        newlines: usize,
    },
    /// After the block, before the first character of the answer.
    Closed,
    Content {
        reasoned: bool,
    },
}

/// Takes text and returns deltas, none of which is a call.
#[derive(Debug, Clone)]
pub struct ReasoningParser {
    start: Start,
    state: State,
    held: Pending,
}

impl ReasoningParser {
    /// Begins an answer.
    #[must_use]
    pub fn new(start: Start) -> Self {
        let state = match start {
            Start::Reasoning(_) | Start::Content(_) | Start::Unopened(_) => State::Opening { space: 0 },
            Start::MidReasoning(_) => State::Reasoning { newlines: 0 },
            Start::MidContent(_) => State::Content { reasoned: false },
        };
        Self { start, state, held: Pending::default() }
    }

    /// Where the text seen so far ends.
    #[must_use]
    pub fn place(&self) -> Place {
        match self.state {
            State::Opening { .. } if matches!(self.start, Start::Reasoning(_)) => Place::Reasoning,
            State::Opening { .. } | State::Waiting { .. } => Place::Unknown,
            State::Opened | State::Reasoning { .. } => Place::Reasoning,
            State::Closed => Place::Content { reasoned: true },
            State::Content { reasoned } => Place::Content { reasoned },
        }
    }

    /// Takes more text.
    pub fn push(&mut self, text: &str) -> Vec<Delta> {
        self.held.push(text);
        let mut deltas = Vec::new();
        while self.advance(&mut deltas) {}
        deltas
    }

    /// Returns the text that was held back, at the end of the answer.
    pub fn finish(&mut self) -> Vec<Delta> {
        let held = self.held.take_all();
        let mut deltas = Vec::new();
        match self.place() {
            Place::Reasoning => reasoning(&mut deltas, held.trim_end_matches('\n')),
            // Only newlines, which belong to neither part.
            Place::Content { .. } if self.state == State::Closed => {}
            Place::Content { .. } | Place::Unknown => content(&mut deltas, held),
        }
        deltas
    }

    /// Makes one change of state, or does everything possible in the current state; true if more may follow.
    fn advance(&mut self, deltas: &mut Vec<Delta>) -> bool {
        match self.state {
            State::Opening { space } => self.open(space),
            State::Waiting { searched } => self.wait(searched, deltas),
            State::Opened => self.skip_newlines(State::Reasoning { newlines: 0 }),
            State::Reasoning { newlines } => self.reason(newlines, deltas),
            State::Closed => self.skip_newlines(State::Content { reasoned: true }),
            State::Content { .. } => {
                content(deltas, self.held.take_all());
                false
            }
        }
    }

    fn open(&mut self, space: usize) -> bool {
        let open = self.start.tags().open;
        let text = self.held[space..].trim_start();
        let space = self.held.len() - text.len();
        if text.starts_with(open) {
            self.held.skip(space + open.len());
            self.state = State::Opened;
        } else if open.starts_with(text) {
            self.state = State::Opening { space };
            return false;
        } else {
            self.state = match self.start {
                Start::Reasoning(_) | Start::MidReasoning(_) => State::Opened,
                Start::Content(_) | Start::MidContent(_) => State::Content { reasoned: false },
                Start::Unopened(_) => State::Waiting { searched: 0 },
            };
        }
        true
    }

    fn wait(&mut self, searched: usize, deltas: &mut Vec<Delta>) -> bool {
        let close = self.start.tags().close;
        let Some(at) = self.held[searched..].find(close) else {
            let begun = begun(&self.held, close);
            self.state = State::Waiting { searched: self.held.len() - begun };
            return false;
        };
        let before = self.held.take(searched + at);
        reasoning(deltas, before.trim_matches('\n'));
        self.close(close)
    }

    fn skip_newlines(&mut self, next: State) -> bool {
        self.held.skip(self.held.len() - self.held.trim_start_matches('\n').len());
        if !self.held.is_empty() {
            self.state = next;
        }
        !self.held.is_empty()
    }

    fn reason(&mut self, newlines: usize, deltas: &mut Vec<Delta>) -> bool {
        let close = self.start.tags().close;
        if let Some(at) = self.held[newlines..].find(close) {
            let before = self.held.take(newlines + at);
            reasoning(deltas, before.trim_end_matches('\n'));
            return self.close(close);
        }
        let open = self.held.len() - begun(&self.held, close);
        let certain = match self.held[newlines..open].trim_end_matches('\n').len() {
            0 => 0,
            more => newlines + more,
        };
        reasoning(deltas, &self.held.take(certain));
        self.state = State::Reasoning { newlines: open - certain };
        false
    }

    fn close(&mut self, tag: &str) -> bool {
        self.held.skip(tag.len());
        self.state = State::Closed;
        true
    }
}

/// The number of bytes at the end of a text that may be the beginning of a tag.
pub(super) fn begun(text: &str, tag: &str) -> usize {
    let begins = |n: &usize| tag.get(..*n).is_some_and(|begin| text.ends_with(begin));
    (1..tag.len()).rev().find(begins).unwrap_or(0)
}

fn reasoning(deltas: &mut Vec<Delta>, text: &str) {
    if !text.is_empty() {
        deltas.push(Delta::Reasoning(text.to_owned()));
    }
}

fn content(deltas: &mut Vec<Delta>, text: String) {
    if !text.is_empty() {
        deltas.push(Delta::Content(text));
    }
}

#[cfg(test)]
mod tests;
