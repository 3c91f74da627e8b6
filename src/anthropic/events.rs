//! The events of an answer as events of a stream.

use serde_json::{Value, json};

use super::error::error_body;
use super::response::{Head, SIGNATURE, body, input, prompt_usage, text, thinking, tool_use, usage};
use crate::chat::{FunctionCall, ToolCall};
use crate::openai::ApiError;
use crate::session::{Answer, ChatEvent, ChatUsage};

/// Turns the events of an answer into events of a stream, whose names are their types.
///
/// Not here: lines, and when to send a keepalive.
#[derive(Debug)]
pub struct Events {
    head: Head,
    request_id: String,
    state: State,
    /// The block that is open.
    open: Option<Open>,
    /// Blocks so far.
    blocks: u32,
    calls: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The message has not begun: the tokens of the prompt are not known yet.
    Waiting,
    Begun,
    Ended,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    Thinking,
    Text,
}

impl Events {
    /// For the answer to the request with this id.
    #[must_use]
    pub fn new(head: Head, request_id: impl Into<String>) -> Self {
        let request_id = request_id.into();
        Self { head, request_id, state: State::Waiting, open: None, blocks: 0, calls: false }
    }

    /// The events for an event of the answer. None follows the last one.
    pub fn event(&mut self, event: &ChatEvent) -> Vec<Value> {
        let mut out = Vec::new();
        if self.state == State::Ended {
            return out;
        }
        match event {
            &ChatEvent::Progress { total, reused, .. } => self.begin(total, reused, &mut out),
            ChatEvent::Reasoning(_) if !self.head.thinking => {}
            ChatEvent::Reasoning(text) => self.delta(Open::Thinking, text, &mut out),
            ChatEvent::Content(text) => self.delta(Open::Text, text, &mut out),
            ChatEvent::ToolCall(call) => self.call(call, &mut out),
            &ChatEvent::Finished { reason, usage: counts, .. } => {
                let ChatUsage { total, .. } = counts;
                self.begin(total.prompt_tokens, total.reused_tokens, &mut out);
                self.close(&mut out);
                if self.blocks == 0 {
                    // Clients expect text.
                    self.start(&text(""), &mut out);
                    self.push(&json!({ "type": "text_delta", "text": "" }), &mut out);
                    self.stop(&mut out);
                }
                let delta = self.head.end(reason, self.calls);
                out.push(json!({ "type": "message_delta", "delta": delta, "usage": usage(counts) }));
                out.push(json!({ "type": "message_stop" }));
                self.state = State::Ended;
            }
            ChatEvent::Failed(error) => return self.fail(&ApiError::from(error)),
        }
        out
    }

    /// A whole answer as a body, in the place of its events.
    #[must_use]
    pub fn whole(&self, answer: &Answer) -> Value {
        body(&self.head, answer)
    }

    /// The event for a failure, which ends the stream.
    pub fn fail(&mut self, error: &ApiError) -> Vec<Value> {
        if self.state == State::Ended {
            return Vec::new();
        }
        self.state = State::Ended;
        vec![error_body(error, &self.request_id)]
    }

    /// A keepalive.
    #[must_use]
    pub fn ping() -> Value {
        json!({ "type": "ping" })
    }

    fn begin(&mut self, total: u32, reused: u32, out: &mut Vec<Value>) {
        if self.state == State::Waiting {
            self.state = State::Begun;
            let message = self.head.message(&[], &prompt_usage(total, reused));
            out.push(json!({ "type": "message_start", "message": message }));
        }
    }

    fn delta(&mut self, kind: Open, more: &str, out: &mut Vec<Value>) {
        if more.is_empty() {
            return;
        }
        self.begin(0, 0, out);
        if self.open != Some(kind) {
            self.close(out);
            let block = match kind {
                Open::Thinking => thinking("", ""),
                Open::Text => text(""),
            };
            self.start(&block, out);
            self.open = Some(kind);
        }
        let delta = match kind {
            Open::Thinking => json!({ "type": "thinking_delta", "thinking": more }),
            Open::Text => json!({ "type": "text_delta", "text": more }),
        };
        self.push(&delta, out);
    }

    fn call(&mut self, call: &ToolCall, out: &mut Vec<Value>) {
        self.begin(0, 0, out);
        self.close(out);
        self.calls = true;
        self.start(&tool_use(call, &json!({})), out);
        let whole = FunctionCall { arguments: input(call), ..call.function.clone() };
        self.push(&json!({ "type": "input_json_delta", "partial_json": whole.arguments_text() }), out);
        self.stop(out);
    }

    /// Ends the open block.
    fn close(&mut self, out: &mut Vec<Value>) {
        let Some(kind) = self.open.take() else { return };
        if kind == Open::Thinking {
            self.push(&json!({ "type": "signature_delta", "signature": SIGNATURE }), out);
        }
        self.stop(out);
    }

    fn start(&mut self, block: &Value, out: &mut Vec<Value>) {
        out.push(json!({ "type": "content_block_start", "index": self.blocks, "content_block": block }));
        self.blocks += 1;
    }

    fn push(&self, delta: &Value, out: &mut Vec<Value>) {
        out.push(json!({ "type": "content_block_delta", "index": self.index(), "delta": delta }));
    }

    fn stop(&self, out: &mut Vec<Value>) {
        out.push(json!({ "type": "content_block_stop", "index": self.index() }));
    }

    /// The index of the last block.
    fn index(&self) -> u32 {
        self.blocks.saturating_sub(1)
    }
}
