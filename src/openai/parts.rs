//! Parts that whole answers and chunks have in common.

use std::time::Duration;

use serde_json::{Value, json};

use crate::chat::ToolCall;
use crate::engine::{FinishReason, Timings, Usage};
use crate::session::ChatUsage;

/// A call, with its arguments as a string.
#[must_use]
pub fn call(call: &ToolCall) -> Value {
    let function = json!({ "name": call.function.name, "arguments": call.function.arguments_text() });
    json!({ "id": call.id, "type": call.kind, "function": function })
}

/// `OpenAI`'s name of a finish reason, or `cancelled`. `calls` is true if the answer has calls.
#[must_use]
pub fn finish_reason(reason: FinishReason, calls: bool) -> &'static str {
    match reason {
        FinishReason::Stop if calls => "tool_calls",
        FinishReason::Stop | FinishReason::StopString(_) => "stop",
        FinishReason::Length | FinishReason::Context => "length",
        FinishReason::Cancelled => "cancelled",
    }
}

/// The usage of all choices of a request, which share a prompt.
pub(super) fn usage(choices: &[ChatUsage]) -> Value {
    let first = choices.first().map(|usage| usage.total).unwrap_or_default();
    let written: u32 = choices.iter().map(|usage| usage.total.completion_tokens).sum();
    let reasoning: u32 = choices.iter().map(|usage| usage.reasoning_tokens).sum();
    json!({
        "prompt_tokens": first.prompt_tokens,
        "completion_tokens": written,
        "total_tokens": first.prompt_tokens.saturating_add(written),
        "completion_tokens_details": { "reasoning_tokens": reasoning },
        "prompt_tokens_details": { "cached_tokens": first.reused_tokens },
    })
}

/// Timings under llama-server's names. With several choices, each phase is as long as the longest.
#[must_use]
pub fn timings(choices: &[(ChatUsage, Timings)]) -> Value {
    let longest = |phase: fn(&Timings) -> Duration| {
        choices.iter().map(|(_, timings)| phase(timings)).max().unwrap_or_default()
    };
    let whole = Timings {
        queued: longest(|t| t.queued),
        prefill: longest(|t| t.prefill),
        decode: longest(|t| t.decode),
    };
    let rate = |rate: fn(&Timings, &Usage) -> Option<f64>| {
        let (first, _) = choices.first()?;
        let completion_tokens = choices.iter().map(|(usage, _)| usage.total.completion_tokens).sum();
        rate(&whole, &Usage { completion_tokens, ..first.total })
    };
    json!({
        "queued_ms": milliseconds(whole.queued),
        "prompt_ms": milliseconds(whole.prefill),
        "prompt_per_second": rate(Timings::prompt_rate),
        "predicted_ms": milliseconds(whole.decode),
        "predicted_per_second": rate(Timings::decode_rate),
    })
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
