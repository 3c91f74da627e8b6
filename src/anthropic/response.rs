//! A whole answer as a JSON body, and the parts that it shares with the events.

use serde_json::{Map, Value, json};

use crate::chat::ToolCall;
use crate::engine::FinishReason;
use crate::session::{Answer, ChatUsage};

/// The signature of reasoning. Clients send it back with the reasoning, and some drop reasoning without one; it is not
/// checked.
pub(super) const SIGNATURE: &str = "ggrun";

/// The fields with which an answer begins.
#[derive(Debug, Clone)]
pub struct Head {
    /// The name of the answer, without `msg_`.
    pub id: String,
    /// The name of the model.
    pub model: String,
    /// The texts that end the answer.
    pub stop: Vec<String>,
    /// Shows the reasoning. If thinking is off, the only reasoning is the text that ended it.
    pub thinking: bool,
}

impl Head {
    /// The name of the answer.
    #[must_use]
    pub fn full_id(&self) -> String {
        format!("msg_{}", self.id)
    }

    /// A message with these blocks.
    pub(super) fn message(&self, content: &[Value], usage: &Value) -> Value {
        json!({
            "id": self.full_id(),
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": content,
            "stop_reason": null,
            "stop_sequence": null,
            "usage": usage,
        })
    }

    /// The fields for the end of an answer, which has calls or not.
    pub(super) fn end(&self, reason: FinishReason, calls: bool) -> Map<String, Value> {
        let sequence = match reason {
            FinishReason::StopString(index) => self.stop.get(index),
            _ => None,
        };
        let fields = [("stop_reason", json!(stop_reason(reason, calls))), ("stop_sequence", json!(sequence))];
        fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// The body with an answer: its reasoning, then its text and its calls in the order in which they were written.
#[must_use]
pub fn body(head: &Head, answer: &Answer) -> Value {
    let mut blocks = Vec::new();
    if head.thinking && !answer.reasoning.is_empty() {
        blocks.push(thinking(&answer.reasoning, SIGNATURE));
    }
    let mut begin = 0;
    let ends = answer.call_places.iter().copied().chain([answer.content.len()]);
    let mut calls = answer.tool_calls.iter();
    for end in ends {
        let part = answer.content.get(begin..end).unwrap_or_default();
        blocks.extend((!part.is_empty()).then(|| text(part)));
        blocks.extend(calls.next().map(|call| tool_use(call, &input(call))));
        begin = end;
    }
    if blocks.is_empty() {
        blocks.push(text(""));
    }
    let mut body = head.message(&blocks, &usage(answer.usage));
    if let Value::Object(body) = &mut body {
        body.extend(head.end(answer.reason, !answer.tool_calls.is_empty()));
    }
    body
}

/// The body with the number of tokens of a prompt.
#[must_use]
pub fn count(tokens: usize) -> Value {
    json!({ "input_tokens": tokens })
}

pub(super) fn text(text: &str) -> Value {
    json!({ "type": "text", "text": text })
}

pub(super) fn thinking(text: &str, signature: &str) -> Value {
    json!({ "type": "thinking", "thinking": text, "signature": signature })
}

pub(super) fn tool_use(call: &ToolCall, input: &Value) -> Value {
    json!({ "type": "tool_use", "id": call.id, "name": call.function.name, "input": input })
}

/// The arguments of a call as an object.
pub(super) fn input(call: &ToolCall) -> Value {
    let arguments = &call.function.arguments;
    let parsed = arguments.as_str().and_then(|text| serde_json::from_str(text).ok());
    let object = parsed.unwrap_or_else(|| arguments.clone());
    if object.is_object() { object } else { json!({}) }
}

/// The tokens of an answer. Those of the prompt that were in the cache are counted separately.
pub(super) fn usage(usage: ChatUsage) -> Value {
    let ChatUsage { total, reasoning_tokens } = usage;
    let mut counts = prompt_usage(total.prompt_tokens, total.reused_tokens);
    counts["output_tokens"] = json!(total.completion_tokens);
    counts["output_tokens_details"] = json!({ "thinking_tokens": reasoning_tokens });
    counts
}

/// The tokens of a prompt.
pub(super) fn prompt_usage(total: u32, reused: u32) -> Value {
    json!({
        "input_tokens": total.saturating_sub(reused),
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": reused,
        "output_tokens": 0,
    })
}

fn stop_reason(reason: FinishReason, calls: bool) -> &'static str {
    match reason {
        FinishReason::StopString(_) => "stop_sequence",
        FinishReason::Stop | FinishReason::Cancelled if calls => "tool_use",
        FinishReason::Stop => "end_turn",
        FinishReason::Length | FinishReason::Context | FinishReason::Cancelled => "max_tokens",
    }
}
