//! A whole answer: the only place that accumulates its events.

use super::chat::Chat;
use super::event::{ChatEvent, ChatUsage};
use crate::chat::ToolCall;
use crate::engine::{self, FinishReason, Timings, Token, TokenLogprob};

/// A whole answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The reasoning.
    pub reasoning: String,
    /// The content.
    pub content: String,
    /// The function calls, in order.
    pub tool_calls: Vec<ToolCall>,
    /// For each call, the length of the content before it, in bytes.
    pub call_places: Vec<usize>,
    /// Its tokens, forced ones and the one that ended it included.
    pub tokens: Vec<Token>,
    /// Why it ended.
    pub reason: FinishReason,
    /// The tokens it took.
    pub usage: ChatUsage,
    /// The time it took.
    pub timings: Timings,
    /// The logprobs of all its tokens, if the request asked for them.
    pub logprobs: Vec<TokenLogprob>,
}

impl Chat {
    /// Waits for the whole answer. `on` gets every event first, and cancels the answer by failing.
    ///
    /// # Errors
    ///
    /// When the engine or `on` fails. A cancelled answer is not an error: its reason is
    /// [`FinishReason::Cancelled`].
    pub fn collect<E: From<engine::Error>>(
        mut self,
        mut on: impl FnMut(&ChatEvent) -> Result<(), E>,
    ) -> Result<Answer, E> {
        let mut parts = Parts::default();
        while let Some(event) = self.next() {
            on(&event)?;
            if let Some(end) = parts.push(event) {
                return Ok(parts.finish(end?, self.take_tokens(), self.take_logprobs()));
            }
        }
        Err(engine::Error::Gone.into())
    }

    /// [`Chat::collect`] as a future.
    ///
    /// # Errors
    ///
    /// When the engine or `on` fails.
    pub async fn collect_async<E: From<engine::Error>>(
        mut self,
        mut on: impl FnMut(&ChatEvent) -> Result<(), E>,
    ) -> Result<Answer, E> {
        let mut parts = Parts::default();
        while let Some(event) = self.recv().await {
            on(&event)?;
            if let Some(end) = parts.push(event) {
                return Ok(parts.finish(end?, self.take_tokens(), self.take_logprobs()));
            }
        }
        Err(engine::Error::Gone.into())
    }
}

/// The parts so far.
#[derive(Debug, Default)]
struct Parts {
    reasoning: String,
    content: String,
    tool_calls: Vec<ToolCall>,
    call_places: Vec<usize>,
}

/// The terminal event of an answer that succeeded.
type End = (FinishReason, ChatUsage, Timings);

impl Parts {
    /// Takes an event; returns the end if it is the terminal one.
    fn push(&mut self, event: ChatEvent) -> Option<Result<End, engine::Error>> {
        match event {
            ChatEvent::Progress { .. } => {}
            ChatEvent::Reasoning(text) => self.reasoning += &text,
            ChatEvent::Content(text) => self.content += &text,
            ChatEvent::ToolCall(call) => {
                self.tool_calls.push(call);
                self.call_places.push(self.content.len());
            }
            ChatEvent::Finished { reason, usage, timings } => return Some(Ok((reason, usage, timings))),
            ChatEvent::Failed(error) => return Some(Err(error)),
        }
        None
    }

    fn finish(
        self,
        (reason, usage, timings): End,
        tokens: Vec<Token>,
        logprobs: Vec<TokenLogprob>,
    ) -> Answer {
        let Self { reasoning, content, tool_calls, call_places } = self;
        Answer { reasoning, content, tool_calls, call_places, tokens, reason, usage, timings, logprobs }
    }
}

#[cfg(test)]
impl Answer {
    /// The answer of these events, the last of which is its end, with the logprobs of its tokens.
    pub(crate) fn folded(events: &[ChatEvent], logprobs: Vec<TokenLogprob>) -> Self {
        let mut parts = Parts::default();
        let end = events.iter().find_map(|event| parts.push(event.clone()));
        parts.finish(end.expect("it has an end").expect("it does not fail"), Vec::new(), logprobs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{Message, Role, Template};
    use crate::engine::scripted::{ByteVocab, ScriptedDecoder};
    use crate::engine::{Caps, Limits, Markup, SamplingParams, Vocab as _, channel, run};
    use crate::session::{ChatRequest, Session};
    use std::cell::Cell;
    use std::sync::Arc;
    use std::task::{Context, Poll, Waker};
    use std::thread;

    const SAYS: &str = "hm</think>Look.<tool_call>{\"name\": \"f\", \"arguments\": {}}</tool_call>";

    fn chat(prompt: &str) -> Chat {
        let caps =
            Caps { sequences: 1, context: 256, batch: 16, can_trim: true, can_cache: true, can_copy: true };
        let decoder = ScriptedDecoder::saying(caps, SAYS);
        let (submitter, inbox) = channel(&decoder, &ByteVocab);
        thread::spawn(move || run(decoder, ByteVocab, &inbox, Limits::of(caps)));
        let template = "{{ messages[0].content }}{# <tool_call> arguments #}<think>";
        let template = Template::parse(template, "", "").unwrap();
        let session = Session::new(submitter, Arc::new(ByteVocab), template);
        let mut request = ChatRequest::new(vec![Message::new(Role::User, prompt)], SamplingParams::greedy());
        request.tools = vec![serde_json::json!({"type": "function", "function": {"name": "f"}})];
        session.chat(request).unwrap()
    }

    fn expect(answer: &Answer, events: usize) {
        assert_eq!((answer.reasoning.as_str(), answer.content.as_str()), ("hm", "Look."));
        assert_eq!(answer.tool_calls[0].function.name, "f");
        assert_eq!(answer.call_places, ["Look.".len()]);
        let says = ByteVocab.tokenize(SAYS, Markup::Plain);
        assert_eq!(answer.tokens, [says, vec![ByteVocab::END]].concat());
        assert_eq!(answer.reason, FinishReason::Stop);
        assert_eq!(answer.usage.total.completion_tokens as usize, SAYS.len() + 1);
        assert!(events > 3, "{events}");
    }

    #[test]
    fn an_answer_has_every_part_and_each_event_is_seen_first() {
        let mut events = 0;
        let answer = chat("hi").collect(|_| {
            events += 1;
            Ok::<(), engine::Error>(())
        });
        expect(&answer.unwrap(), events);
    }

    #[test]
    fn a_future_gives_the_same_answer() {
        let events = Cell::new(0);
        let mut answer = Box::pin(chat("hi").collect_async(|_| {
            events.set(events.get() + 1);
            Ok::<(), engine::Error>(())
        }));
        let answer = loop {
            match answer.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(answer) => break answer.unwrap(),
                Poll::Pending => thread::yield_now(),
            }
        };
        expect(&answer, events.get());
    }

    #[test]
    fn a_failure_of_the_engine_or_of_the_callback_is_the_error() {
        let failed = Parts::default().push(ChatEvent::Failed(engine::Error::Gone));
        assert_eq!(failed, Some(Err(engine::Error::Gone)));
        let stopped = chat("hi").collect(|_| Err(engine::Error::Busy));
        assert_eq!(stopped, Err(engine::Error::Busy));
    }
}
