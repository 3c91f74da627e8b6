//! An answer on its way: events of the engine become parts of a conversation's turn.

use std::mem;

use super::{ChatEvent, ChatUsage};
use crate::chat::{AnswerParser, Delta, Place, ToolCall, ToolKind};
use crate::engine::{Canceller, Event, Reply, TokenLogprob};

/// An answer on its way: an iterator that waits, or a future for each event. Dropping it cancels it.
#[derive(Debug)]
pub struct Chat {
    pub(super) reply: Reply,
    /// Parts thinking and calls from the rest; none where all is content.
    pub(super) parser: Option<AnswerParser>,
    pub(super) reasoning_tokens: u32,
    /// Tokens that may turn out to be reasoning.
    pub(super) open_tokens: u32,
    /// Calls in the conversation so far.
    pub(super) calls: usize,
    /// Events to give out, the next one last.
    pub(super) ready: Vec<ChatEvent>,
    pub(super) logprobs: Vec<TokenLogprob>,
}

impl Chat {
    /// Something that can end this answer while another thread waits for it.
    #[must_use]
    pub fn canceller(&self) -> Canceller {
        self.reply.canceller()
    }

    /// How likely the tokens since the last call were, if the request asked for it: those of the thinking, of the answer
    /// and its end.
    pub fn take_logprobs(&mut self) -> Vec<TokenLogprob> {
        mem::take(&mut self.logprobs)
    }

    /// The next event, as a future; `None` after the terminal one.
    pub async fn recv(&mut self) -> Option<ChatEvent> {
        loop {
            if let Some(event) = self.ready.pop() {
                return Some(event);
            }
            let event = self.reply.recv().await?;
            self.take(event);
        }
    }

    fn take(&mut self, event: Event) {
        let terminal = match event {
            Event::Delta { tokens, text, logprobs } => {
                self.logprobs.extend(logprobs);
                let Some(parser) = &mut self.parser else {
                    self.ready.extend((!text.is_empty()).then_some(ChatEvent::Content(text)));
                    return;
                };
                let began = parser.place();
                let deltas = parser.push(&text);
                let ends = parser.place();
                self.count(u32::try_from(tokens.len()).unwrap_or(u32::MAX), began, ends);
                return self.prepare(deltas, None);
            }
            Event::Finished { reason, usage: total, timings } => {
                let usage = ChatUsage { total, reasoning_tokens: self.reasoning_tokens };
                ChatEvent::Finished { reason, usage, timings }
            }
            Event::Failed(error) => ChatEvent::Failed(error),
        };
        let deltas = self.parser.as_mut().map(AnswerParser::finish).unwrap_or_default();
        self.prepare(deltas, Some(terminal));
    }

    /// Books tokens whose text began at a place and ends at another.
    fn count(&mut self, tokens: u32, began: Place, ends: Place) {
        match began {
            Place::Reasoning => self.reasoning_tokens += tokens,
            Place::Content { .. } => {}
            Place::Unknown => self.open_tokens += tokens,
        }
        match ends {
            Place::Unknown => {}
            Place::Reasoning | Place::Content { thought: true } => {
                self.reasoning_tokens += mem::take(&mut self.open_tokens);
            }
            Place::Content { thought: false } => self.open_tokens = 0,
        }
    }

    fn prepare(&mut self, deltas: Vec<Delta>, terminal: Option<ChatEvent>) {
        for delta in deltas {
            let event = match delta {
                Delta::Content(text) => ChatEvent::Content(text),
                Delta::Reasoning(text) => ChatEvent::Reasoning(text),
                Delta::ToolCall(function) => {
                    let id = Some(format!("call_{}", self.calls));
                    self.calls += 1;
                    ChatEvent::ToolCall(ToolCall { id, kind: ToolKind::Function, function })
                }
            };
            self.ready.push(event);
        }
        self.ready.extend(terminal);
        self.ready.reverse();
    }
}

impl Iterator for Chat {
    type Item = ChatEvent;

    fn next(&mut self) -> Option<ChatEvent> {
        loop {
            if let Some(event) = self.ready.pop() {
                return Some(event);
            }
            let event = self.reply.wait()?;
            self.take(event);
        }
    }
}
