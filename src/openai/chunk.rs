//! The events of an answer as chunks of a stream.

use std::sync::Arc;

use serde_json::{Value, json};

use super::endpoint::Endpoint;
use super::error::ApiError;
use super::logprobs::{logprobs, text_length};
use super::parts::{call, finish_reason, progress, timings, usage};
use super::request::Stream;
use super::response::Head;
use crate::engine::{Timings, Token, TokenLogprob};
use crate::session::{ChatEvent, ChatUsage};

/// Returns the bytes of a token.
pub type Piece = Arc<dyn Fn(Token) -> Vec<u8> + Send + Sync>;

/// Turns the events of all answers to a request into chunks. Not here: frames, and `[DONE]`.
pub struct Chunks<'a> {
    head: Head<'a>,
    stream: Stream,
    /// Answers to each prompt.
    per_prompt: usize,
    piece: Option<Piece>,
    /// The prompts, if they are shown.
    prompts: Vec<String>,
    choices: Vec<Choice>,
}

impl std::fmt::Debug for Chunks<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Chunks")
            .field("head", &self.head)
            .field("choices", &self.choices)
            .finish_non_exhaustive()
    }
}

/// The state of one answer.
#[derive(Debug, Clone, Default)]
struct Choice {
    calls: u32,
    /// Characters of the text whose logprobs were sent.
    offset: usize,
    end: Option<(ChatUsage, Timings)>,
}

impl<'a> Chunks<'a> {
    /// For this number of answers. `piece` returns the bytes of a token, if the request asked for logprobs.
    #[must_use]
    pub fn new(head: Head<'a>, stream: Stream, choices: u32, piece: Option<Piece>) -> Self {
        let choices = vec![Choice::default(); choices as usize];
        Self { head, stream, per_prompt: choices.len().max(1), piece, prompts: Vec::new(), choices }
    }

    /// The same, where so many answers in a row are to the same prompt.
    #[must_use]
    pub fn per_prompt(self, per_prompt: u32) -> Self {
        Self { per_prompt: (per_prompt as usize).max(1), ..self }
    }

    /// The same, where each prompt is shown at the end of the first answer to it, as `verbose` asks for.
    #[must_use]
    pub fn showing(self, prompts: Vec<String>) -> Self {
        Self { prompts, ..self }
    }

    /// The chunks before the first event: the role in each choice of a chat.
    #[must_use]
    pub fn begin(&self) -> Vec<Value> {
        if self.head.endpoint == Endpoint::Text {
            return Vec::new();
        }
        let role = json!({ "role": "assistant", "content": null });
        (0..self.choices.len())
            .map(|index| self.chunk(index, role.clone(), Value::Null, Value::Null))
            .collect()
    }

    /// The chunks of an event of the answer `index`; `tokens` are the logprobs since its last event. The last event of
    /// the last answer adds the usage, if requested. A failure returns an error instead.
    ///
    /// # Panics
    ///
    /// When there is no such answer.
    pub fn event(&mut self, index: usize, event: &ChatEvent, tokens: &[TokenLogprob]) -> Vec<Value> {
        let logprobs = self.logprobs(index, tokens);
        let delta = match event {
            ChatEvent::Reasoning(text) if self.head.endpoint == Endpoint::Chat => {
                json!({ "reasoning_content": text })
            }
            ChatEvent::Reasoning(text) | ChatEvent::Content(text) => json!({ "content": text }),
            ChatEvent::ToolCall(called) => {
                let choice = &mut self.choices[index];
                let mut called = call(called);
                called["index"] = json!(choice.calls);
                choice.calls += 1;
                json!({ "tool_calls": [called] })
            }
            &ChatEvent::Finished { reason, usage, timings: took } => {
                let choice = &mut self.choices[index];
                choice.end = Some((usage, took));
                let finish = json!(finish_reason(reason, choice.calls > 0));
                let mut chunks = vec![self.chunk(index, json!({}), logprobs, finish)];
                if !self.stream.include_usage {
                    chunks[0]["timings"] = timings(&[(usage, took)], 1);
                }
                if index.is_multiple_of(self.per_prompt)
                    && let Some(prompt) = self.prompts.get(index / self.per_prompt)
                {
                    chunks[0]["__verbose"] = json!({ "prompt": prompt });
                }
                chunks.extend(self.usage());
                return chunks;
            }
            ChatEvent::Failed(error) => return vec![ApiError::from(error).body()],
            &ChatEvent::Progress { total, reused, read } => return self.progress(index, total, reused, read),
        };
        vec![self.chunk(index, delta, logprobs, Value::Null)]
    }

    /// llama-server's chunk for the progress of the prompt, if requested.
    fn progress(&mut self, index: usize, total: u32, reused: u32, read: u32) -> Vec<Value> {
        if !self.stream.progress {
            return Vec::new();
        }
        let mut chunk = self.chunk(index, json!({}), Value::Null, Value::Null);
        chunk["prompt_progress"] = progress(total, reused, read);
        vec![chunk]
    }

    /// Whether progress was requested.
    #[must_use]
    pub fn shows_progress(&self) -> bool {
        self.stream.progress
    }

    /// The chunk for a request that waits for a slot: its place in the queue, from 1, and how many wait.
    #[must_use]
    pub fn queued(&self, position: usize, waiting: usize) -> Value {
        let mut chunk = self.chunk(0, json!({}), Value::Null, Value::Null);
        chunk["queue"] = json!({ "position": position, "waiting": waiting });
        chunk
    }

    fn logprobs(&mut self, index: usize, tokens: &[TokenLogprob]) -> Value {
        let Some(piece) = self.piece.as_deref().filter(|_| !tokens.is_empty()) else { return Value::Null };
        let offset = &mut self.choices[index].offset;
        let value = logprobs(self.head.endpoint, tokens, *offset, piece);
        *offset += text_length(tokens, piece);
        value
    }

    fn chunk(&self, index: usize, delta: Value, logprobs: Value, finish_reason: Value) -> Value {
        let mut choice = json!({ "index": index });
        match self.head.endpoint {
            Endpoint::Chat => choice["delta"] = delta,
            Endpoint::Text => {
                choice["text"] = delta.get("content").cloned().unwrap_or_else(|| json!(""));
            }
        }
        (choice["logprobs"], choice["finish_reason"]) = (logprobs, finish_reason);
        let mut chunk = self.head.object(self.head.endpoint.chunk(), &[choice]);
        if self.stream.include_usage {
            chunk["usage"] = Value::Null;
        }
        chunk
    }

    /// The chunk for the usage, once every answer has ended.
    fn usage(&self) -> Option<Value> {
        if !self.stream.include_usage {
            return None;
        }
        let ends: Vec<(ChatUsage, Timings)> =
            self.choices.iter().map(|choice| choice.end).collect::<Option<_>>()?;
        let mut chunk = self.head.object(self.head.endpoint.chunk(), &[]);
        chunk["usage"] = usage(&ends.iter().map(|(usage, _)| *usage).collect::<Vec<_>>(), self.per_prompt);
        chunk["timings"] = timings(&ends, self.per_prompt);
        Some(chunk)
    }
}
