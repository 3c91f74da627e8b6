//! Splits an answer into what the model thought and what it says, while it is being written.
//!
//! However the text is cut, the joined deltas are the same. Newlines right after the opening tag and around the
//! closing one belong to neither part. At the end, a block that was opened and never closed is reasoning.

use std::mem;

use super::{Delta, Template};

/// How a model marks its thinking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tags {
    /// Before it.
    pub open: &'static str,
    /// After it.
    pub close: &'static str,
}

impl Tags {
    /// What most models write.
    pub const THINK: Self = Self { open: "<think>", close: "</think>" };

    /// What templates are known to use, the usual first.
    const KNOWN: [Self; 8] = [
        Self::THINK,
        Self { open: "<seed:think>", close: "</seed:think>" },
        Self { open: "<mm:think>", close: "</mm:think>" },
        Self { open: "[THINK]", close: "[/THINK]" },
        Self { open: "<|START_THINKING|>", close: "<|END_THINKING|>" },
        Self { open: "<|inner_prefix|>", close: "<|inner_suffix|>" },
        Self { open: "<|channel>thought", close: "<channel|>" },
        Self { open: "<thinking>", close: "</thinking>" },
    ];

    /// The tags a template knows; `None` where it knows of no thinking.
    #[must_use]
    pub fn of(template: &Template) -> Option<Self> {
        Self::KNOWN.into_iter().find(|tags| template.source().contains(tags.close))
    }
}

/// Where an answer begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// In a block that the prompt opened: only the closing tag is to be expected.
    Reasoning(Tags),
    /// Where the model may open a block or just answer, as when the prompt closed one itself or the model is told
    /// by a switch whether to think.
    Content(Tags),
    /// Likewise, but this model always thinks: what it writes before a closing tag is thinking, with or without an
    /// opening tag. Without either tag all of it is known only at the end, and is content.
    Unopened(Tags),
}

impl Start {
    /// Tells from a template and a prompt that it rendered where the answer to that prompt begins.
    ///
    /// In the prompt a tag counts only at the very end: a question may talk about tags too.
    #[must_use]
    pub fn of(template: &Template, prompt: &str) -> Self {
        let end = prompt.trim_end();
        if let Some(tags) = Tags::KNOWN.into_iter().find(|tags| end.ends_with(tags.open)) {
            return Self::Reasoning(tags);
        }
        if let Some(tags) = Tags::KNOWN.into_iter().find(|tags| end.ends_with(tags.close)) {
            return Self::Content(tags);
        }
        match Tags::of(template) {
            Some(tags) if !template.switches_thinking() => Self::Unopened(tags),
            tags => Self::Content(tags.unwrap_or(Tags::THINK)),
        }
    }

    /// The tags that are to be expected.
    #[must_use]
    pub fn tags(self) -> Tags {
        match self {
            Self::Reasoning(tags) | Self::Content(tags) | Self::Unopened(tags) => tags,
        }
    }
}

/// Where a text ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Inside the thinking.
    Reasoning,
    /// In the answer proper.
    Content {
        /// Whether there was thinking before it.
        thought: bool,
    },
    /// What follows will tell.
    Unknown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing but whitespace so far; an opening tag may come.
    Opening,
    /// No opening tag came; a closing one may.
    Waiting {
        /// How much of what is held has no closing tag.
        searched: usize,
    },
    /// Inside the block, before its first character.
    Thinking,
    Reasoning,
    /// After the block, before the first character of the answer.
    Closed,
    Content {
        thought: bool,
    },
}

/// Takes text and gives deltas, none of which is a call.
#[derive(Debug, Clone)]
pub struct ReasoningParser {
    start: Start,
    state: State,
    held: String,
}

impl ReasoningParser {
    /// Begins an answer.
    #[must_use]
    pub fn new(start: Start) -> Self {
        Self { start, state: State::Opening, held: String::new() }
    }

    /// Where the text seen so far ends.
    #[must_use]
    pub fn place(&self) -> Place {
        match self.state {
            State::Opening if matches!(self.start, Start::Reasoning(_)) => Place::Reasoning,
            State::Opening | State::Waiting { .. } => Place::Unknown,
            State::Thinking | State::Reasoning => Place::Reasoning,
            State::Closed => Place::Content { thought: true },
            State::Content { thought } => Place::Content { thought },
        }
    }

    /// Takes more text.
    pub fn push(&mut self, text: &str) -> Vec<Delta> {
        self.held.push_str(text);
        let mut deltas = Vec::new();
        while self.advance(&mut deltas) {}
        deltas
    }

    /// Gives what was held back when no more text comes.
    pub fn finish(&mut self) -> Vec<Delta> {
        let held = mem::take(&mut self.held);
        let mut deltas = Vec::new();
        match self.place() {
            Place::Reasoning => reasoning(&mut deltas, held.trim_end_matches('\n')),
            // Nothing but newlines, which belong to neither part.
            Place::Content { .. } if self.state == State::Closed => {}
            Place::Content { .. } | Place::Unknown => content(&mut deltas, held),
        }
        deltas
    }

    /// Does one change of state, or all it can do in this one; tells whether there may be more.
    fn advance(&mut self, deltas: &mut Vec<Delta>) -> bool {
        match self.state {
            State::Opening => self.open(),
            State::Waiting { searched } => self.wait(searched, deltas),
            State::Thinking => self.skip_newlines(State::Reasoning),
            State::Reasoning => self.reason(deltas),
            State::Closed => self.skip_newlines(State::Content { thought: true }),
            State::Content { .. } => {
                content(deltas, mem::take(&mut self.held));
                false
            }
        }
    }

    fn open(&mut self) -> bool {
        let open = self.start.tags().open;
        let text = self.held.trim_start();
        if let Some(rest) = text.strip_prefix(open) {
            self.held = rest.to_owned();
            self.state = State::Thinking;
        } else if open.starts_with(text) {
            return false;
        } else {
            self.state = match self.start {
                Start::Reasoning(_) => State::Thinking,
                Start::Content(_) => State::Content { thought: false },
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
        let rest = self.held.split_off(searched + at + close.len());
        let thought = mem::replace(&mut self.held, rest);
        reasoning(deltas, thought[..searched + at].trim_matches('\n'));
        self.state = State::Closed;
        true
    }

    fn skip_newlines(&mut self, next: State) -> bool {
        self.held = self.held.trim_start_matches('\n').to_owned();
        if !self.held.is_empty() {
            self.state = next;
        }
        !self.held.is_empty()
    }

    fn reason(&mut self, deltas: &mut Vec<Delta>) -> bool {
        let close = self.start.tags().close;
        if let Some((thought, rest)) = self.held.split_once(close) {
            reasoning(deltas, thought.trim_end_matches('\n'));
            self.held = rest.to_owned();
            self.state = State::Closed;
            return true;
        }
        let open = self.held.len() - begun(&self.held, close);
        let certain = self.held[..open].trim_end_matches('\n').len();
        let rest = self.held.split_off(certain);
        reasoning(deltas, &mem::replace(&mut self.held, rest));
        false
    }
}

/// How many bytes at the end of a text may be the beginning of a tag.
pub(super) fn begun(text: &str, tag: &str) -> usize {
    (1..tag.len()).rev().find(|&n| text.ends_with(&tag[..n])).unwrap_or(0)
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
