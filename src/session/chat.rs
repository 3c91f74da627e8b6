//! A running answer: events of the engine become reasoning, content and calls.

use std::mem;

use super::event::{ChatEvent, ChatUsage};
use super::hooks::Watched;
use super::request::ToolCallIds;
use crate::chat::{AnswerParser, Delta, Place, ToolCall, ToolKind};
use crate::engine::{Canceller, Event, FinishReason, Reply, Scanned, StopMatcher, Token, TokenLogprob};

/// A running answer: an iterator that waits, or a future for each event. Dropping it cancels it.
#[derive(Debug)]
pub struct Chat {
    reply: Reply,
    /// Separates reasoning and calls from content; `None` if everything is content.
    parser: Option<AnswerParser>,
    reasoning_tokens: u32,
    /// Tokens that may turn out to be reasoning.
    open_tokens: u32,
    /// Tokens of the answer so far.
    written: u32,
    ids: ToolCallIds,
    /// Calls in the conversation so far.
    calls: usize,
    /// Finds texts in the content that end the answer, if they are searched here.
    stops: Option<StopMatcher>,
    /// Ends the answer after its first call.
    one_call: bool,
    /// Why the answer was ended here; what the engine still writes is dropped.
    ended: Option<FinishReason>,
    /// Events to return, the next one last.
    ready: Vec<ChatEvent>,
    tokens: Vec<Token>,
    logprobs: Vec<TokenLogprob>,
    /// What the hook is called with at the end.
    watched: Option<Box<Watched>>,
}

impl Chat {
    /// An answer in a conversation with this many calls.
    pub(super) fn new(reply: Reply, parser: Option<AnswerParser>, ids: ToolCallIds, calls: usize) -> Self {
        let (ready, tokens, logprobs) = (Vec::new(), Vec::new(), Vec::new());
        Self {
            reply,
            parser,
            reasoning_tokens: 0,
            open_tokens: 0,
            written: 0,
            ids,
            calls,
            stops: None,
            one_call: false,
            ended: None,
            ready,
            tokens,
            logprobs,
            watched: None,
        }
    }

    /// Calls a hook when the answer has ended.
    pub(super) fn watched(self, watched: Option<Watched>) -> Self {
        Self { watched: watched.map(Box::new), ..self }
    }

    /// The same, ended by these texts in its content.
    pub(super) fn with_stops(self, stops: Vec<String>) -> Self {
        Self { stops: (!stops.is_empty()).then(|| StopMatcher::new(stops)), ..self }
    }

    /// The same, ended after its first call.
    pub(super) fn with_one_call(self, one_call: bool) -> Self {
        Self { one_call, ..self }
    }

    /// Ends this answer from another thread.
    #[must_use]
    pub fn canceller(&self) -> Canceller {
        self.reply.canceller()
    }

    /// The tokens since the last call, with those of the reasoning, of calls and of the end.
    pub fn take_tokens(&mut self) -> Vec<Token> {
        mem::take(&mut self.tokens)
    }

    /// The logprobs of the tokens since the last call, if requested: those of the reasoning, of the answer and of its
    /// end.
    pub fn take_logprobs(&mut self) -> Vec<TokenLogprob> {
        mem::take(&mut self.logprobs)
    }

    /// Tokens of the answer so far.
    #[must_use]
    pub fn written(&self) -> u32 {
        self.written
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
            Event::Delta { .. } if self.ended.is_some() => return,
            Event::Delta { tokens, text, logprobs } => {
                self.logprobs.extend(logprobs);
                let count = u32::try_from(tokens.len()).unwrap_or(u32::MAX);
                self.written = self.written.saturating_add(count);
                self.tokens.extend_from_slice(&tokens);
                let Some(parser) = &mut self.parser else {
                    self.ready.extend((!text.is_empty()).then_some(ChatEvent::Content(text)));
                    return;
                };
                let began = parser.place();
                let deltas = parser.push(&text);
                let ends = parser.place();
                self.count(count, began, ends);
                return self.prepare(deltas, None);
            }
            Event::Progress { total, reused, read } => {
                return self.ready.push(ChatEvent::Progress { total, reused, read });
            }
            Event::Finished { reason, usage: total, timings } => {
                let usage = ChatUsage { total, reasoning_tokens: self.reasoning_tokens };
                ChatEvent::Finished { reason, usage, timings }
            }
            Event::Failed(error) => ChatEvent::Failed(error),
        };
        let deltas = self.parser.as_mut().map(AnswerParser::finish).unwrap_or_default();
        if self.parser.as_ref().is_some_and(|parser| parser.unread_calls() > 0) {
            tracing::warn!(
                "text in the form of a tool call could not be read as one and stays in the answer"
            );
        }
        self.prepare(deltas, Some(terminal));
        self.end_watch();
    }

    /// Calls the hook after an answer that did not fail.
    fn end_watch(&mut self) {
        let Some(watched) = self.watched.take() else { return };
        if let Some(ChatEvent::Finished { usage, timings, .. }) = self.ready.first() {
            watched.end(usage.total, *timings);
        }
    }

    /// Notes a part of the answer for the hook.
    fn watch(watched: &mut Watched, event: &ChatEvent) {
        match event {
            ChatEvent::Content(text) => watched.content += text,
            ChatEvent::Reasoning(text) => watched.reasoning += text,
            ChatEvent::ToolCall(call) => watched.calls.push(call.clone()),
            ChatEvent::Progress { .. } | ChatEvent::Finished { .. } | ChatEvent::Failed(_) => {}
        }
    }

    /// Counts tokens whose text begins at one place and ends at another.
    fn count(&mut self, tokens: u32, began: Place, ends: Place) {
        match began {
            Place::Reasoning => self.reasoning_tokens += tokens,
            Place::Content { .. } => {}
            Place::Unknown => self.open_tokens += tokens,
        }
        match ends {
            Place::Unknown => {}
            Place::Reasoning | Place::Content { reasoned: true } => {
                self.reasoning_tokens += mem::take(&mut self.open_tokens);
            }
            Place::Content { reasoned: false } => self.open_tokens = 0,
        }
    }

    fn prepare(&mut self, deltas: Vec<Delta>, mut terminal: Option<ChatEvent>) {
        for delta in deltas {
            if self.ended.is_some() {
                break;
            }
            if !matches!(delta, Delta::Content(_)) {
                self.flush();
            }
            match delta {
                Delta::Content(text) => {
                    let Scanned { text, stop } = match &mut self.stops {
                        Some(stops) => stops.push(&text),
                        None => Scanned { text, stop: None },
                    };
                    self.content(text);
                    if let Some(index) = stop {
                        self.end(FinishReason::StopString(index));
                    }
                }
                Delta::Between(text) => self.content(text.to_owned()),
                Delta::Reasoning(text) => self.add(ChatEvent::Reasoning(text)),
                Delta::ToolCall(function) => {
                    let id = match &self.ids {
                        ToolCallIds::Counted => format!("call_{}", self.calls),
                        ToolCallIds::Supplied(next) => next(),
                    };
                    self.calls += 1;
                    self.add(ChatEvent::ToolCall(ToolCall {
                        id: Some(id),
                        kind: ToolKind::Function,
                        function,
                    }));
                    if self.one_call {
                        self.end(FinishReason::Stop);
                    }
                }
            }
        }
        if terminal.is_some() && self.ended.is_none() {
            self.flush();
        }
        if let (Some(ended), Some(ChatEvent::Finished { reason, usage, .. })) = (self.ended, &mut terminal) {
            *reason = ended;
            usage.total.completion_tokens = self.written;
        }
        self.ready.extend(terminal);
        self.ready.reverse();
    }

    /// Adds what was held back, which may begin a stop text.
    fn flush(&mut self) {
        if let Some(stops) = &mut self.stops {
            let rest = stops.finish();
            self.content(rest);
        }
    }

    fn content(&mut self, text: String) {
        if !text.is_empty() {
            self.add(ChatEvent::Content(text));
        }
    }

    fn add(&mut self, event: ChatEvent) {
        if let Some(watched) = &mut self.watched {
            Self::watch(watched, &event);
        }
        self.ready.push(event);
    }

    /// Ends the answer with the text so far.
    fn end(&mut self, reason: FinishReason) {
        self.ended = Some(reason);
        self.reply.canceller().cancel();
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
