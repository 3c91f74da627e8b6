//! An answer becomes a JSON body.

use std::time::Duration;

use serde_json::{Value, json};

use super::Endpoint;
use crate::chat::ToolCall;
use crate::engine::{FinishReason, Timings};
use crate::session::ChatUsage;

/// One whole answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// What the model thought.
    pub reasoning: String,
    /// What it says.
    pub content: String,
    /// The functions it calls.
    pub tool_calls: Vec<ToolCall>,
    /// Why it ended.
    pub reason: FinishReason,
    /// What it took.
    pub usage: ChatUsage,
    /// How long it took.
    pub timings: Timings,
    /// What its random numbers began with.
    pub seed: u32,
    /// The probabilities of its tokens in the endpoint's own form, or null; see [`super::logprobs`].
    pub logprobs: Value,
}

/// What a body says of itself.
#[derive(Debug, Clone)]
pub struct Head<'a> {
    /// Where the request was sent.
    pub endpoint: Endpoint,
    /// A name for the answer.
    pub id: &'a str,
    /// Seconds since 1970.
    pub created: u64,
    /// The model's name.
    pub model: &'a str,
    /// The program and its engine.
    pub fingerprint: &'a str,
}

/// The body for some answers to one request.
#[must_use]
pub fn body(head: &Head<'_>, choices: &[Choice]) -> Value {
    let (object, prefix) = match head.endpoint {
        Endpoint::Chat => ("chat.completion", "chatcmpl"),
        Endpoint::Text => ("text_completion", "cmpl"),
    };
    let show = |(index, answer): (usize, &Choice)| match head.endpoint {
        Endpoint::Chat => chat_choice(index, answer),
        Endpoint::Text => text_choice(index, answer),
    };
    json!({
        "id": format!("{prefix}-{}", head.id),
        "object": object,
        "created": head.created,
        "model": head.model,
        "system_fingerprint": head.fingerprint,
        "choices": choices.iter().enumerate().map(show).collect::<Vec<_>>(),
        "usage": usage(choices),
        "timings": timings(choices),
        "seed": choices.first().map(|choice| choice.seed),
    })
}

fn chat_choice(index: usize, choice: &Choice) -> Value {
    let calls = !choice.tool_calls.is_empty();
    let mut message = json!({ "role": "assistant" });
    // A model that only calls functions says nothing.
    message["content"] = if calls && choice.content.is_empty() { Value::Null } else { json!(choice.content) };
    if !choice.reasoning.is_empty() {
        message["reasoning_content"] = json!(choice.reasoning);
    }
    if calls {
        message["tool_calls"] = choice.tool_calls.iter().map(call).collect();
    }
    json!({
        "index": index, "message": message, "logprobs": choice.logprobs,
        "finish_reason": finish_reason(choice.reason, calls),
    })
}

fn text_choice(index: usize, choice: &Choice) -> Value {
    json!({
        "index": index, "text": choice.content, "logprobs": choice.logprobs,
        "finish_reason": finish_reason(choice.reason, false),
    })
}

/// A call: its arguments are a text.
#[must_use]
pub fn call(call: &ToolCall) -> Value {
    let function = json!({ "name": call.function.name, "arguments": call.function.arguments_text() });
    json!({ "id": call.id, "type": call.kind, "function": function })
}

/// `OpenAI`'s word for it, and one more for what was cancelled.
#[must_use]
pub fn finish_reason(reason: FinishReason, calls: bool) -> &'static str {
    match reason {
        FinishReason::Stop if calls => "tool_calls",
        FinishReason::Stop | FinishReason::StopString(_) => "stop",
        FinishReason::Length | FinishReason::Context => "length",
        FinishReason::Cancelled => "cancelled",
    }
}

/// The prompt counts once, whatever number of answers there is.
fn usage(choices: &[Choice]) -> Value {
    let first = choices.first().map(|choice| choice.usage.total).unwrap_or_default();
    let written: u32 = choices.iter().map(|choice| choice.usage.total.completion_tokens).sum();
    let thought: u32 = choices.iter().map(|choice| choice.usage.reasoning_tokens).sum();
    json!({
        "prompt_tokens": first.prompt_tokens,
        "completion_tokens": written,
        "total_tokens": first.prompt_tokens.saturating_add(written),
        "completion_tokens_details": { "reasoning_tokens": thought },
        "prompt_tokens_details": { "cached_tokens": first.reused_tokens },
    })
}

/// By llama-server's names. Of several answers, each phase is as long as the longest.
fn timings(choices: &[Choice]) -> Value {
    let longest = |phase: fn(&Timings) -> Duration| {
        choices.iter().map(|choice| phase(&choice.timings)).max().unwrap_or_default()
    };
    let rate = |rate: fn(&Timings, &crate::engine::Usage) -> Option<f64>| {
        match choices {
            [] => None,
            [one] => rate(&one.timings, &one.usage.total),
            // The tokens of all in the time of the longest.
            all => {
                let mut usage = all[0].usage.total;
                usage.completion_tokens = all.iter().map(|choice| choice.usage.total.completion_tokens).sum();
                let timings = Timings {
                    queued: longest(|t| t.queued),
                    prefill: longest(|t| t.prefill),
                    decode: longest(|t| t.decode),
                };
                rate(&timings, &usage)
            }
        }
    };
    json!({
        "queued_ms": milliseconds(longest(|t| t.queued)),
        "prompt_ms": milliseconds(longest(|t| t.prefill)),
        "prompt_per_second": rate(Timings::prompt_rate),
        "predicted_ms": milliseconds(longest(|t| t.decode)),
        "predicted_per_second": rate(Timings::decode_rate),
    })
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
