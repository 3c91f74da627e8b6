//! Parts that whole answers and chunks have in common.

use std::time::Duration;

use serde_json::{Value, json};

use crate::chat::ToolCall;
use crate::engine::{FinishReason, Timings};
use crate::session::ChatUsage;

/// A call, with its arguments as a string.
#[must_use]
pub fn call(call: &ToolCall) -> Value {
    let function = json!({ "name": call.function.name, "arguments": call.function.arguments_text() });
    json!({ "id": call.id, "type": call.kind, "function": function })
}

/// llama-server's progress of a prompt. Its `time_ms` is for the front end to add.
pub(super) fn progress(total: u32, reused: u32, read: u32) -> Value {
    json!({ "total": total, "cache": reused, "processed": reused.saturating_add(read) })
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

/// The usage of all choices of a request. So many of them in a row share a prompt.
pub(super) fn usage(choices: &[ChatUsage], per_prompt: usize) -> Value {
    let ChatUsage { total, reasoning_tokens } = sum(choices.iter(), per_prompt);
    json!({
        "prompt_tokens": total.prompt_tokens,
        "completion_tokens": total.completion_tokens,
        "total_tokens": total.prompt_tokens.saturating_add(total.completion_tokens),
        "completion_tokens_details": { "reasoning_tokens": reasoning_tokens },
        "prompt_tokens_details": { "cached_tokens": total.reused_tokens },
    })
}

/// Timings under llama-server's names. With several choices, each phase is as long as the longest.
#[must_use]
pub fn timings(choices: &[(ChatUsage, Timings)], per_prompt: usize) -> Value {
    let longest = |phase: fn(&Timings) -> Duration| {
        choices.iter().map(|(_, timings)| phase(timings)).max().unwrap_or_default()
    };
    let whole = Timings {
        queued: longest(|t| t.queued),
        prefill: longest(|t| t.prefill),
        decode: longest(|t| t.decode),
    };
    let usage = sum(choices.iter().map(|(usage, _)| usage), per_prompt).total;
    let written = usage.completion_tokens;
    json!({
        "queued_ms": milliseconds(whole.queued),
        "cache_n": usage.reused_tokens,
        "prompt_n": usage.read_tokens(),
        "prompt_ms": milliseconds(whole.prefill),
        "prompt_per_token_ms": per_token(whole.prefill, usage.read_tokens()),
        "prompt_per_second": whole.prompt_rate(&usage).unwrap_or(0.0),
        "predicted_n": written,
        "predicted_ms": milliseconds(whole.decode),
        "predicted_per_token_ms": per_token(whole.decode, written.saturating_sub(1)),
        "predicted_per_second": whole.decode_rate(&usage).unwrap_or(0.0),
    })
}

/// The tokens of all choices, each prompt counted once.
fn sum<'a>(choices: impl Iterator<Item = &'a ChatUsage>, per_prompt: usize) -> ChatUsage {
    let mut all = ChatUsage::default();
    for (index, ChatUsage { total, reasoning_tokens }) in choices.enumerate() {
        let add = |sum: &mut u32, more: u32| *sum = sum.saturating_add(more);
        if index % per_prompt.max(1) == 0 {
            add(&mut all.total.prompt_tokens, total.prompt_tokens);
            add(&mut all.total.reused_tokens, total.reused_tokens);
        }
        add(&mut all.total.completion_tokens, total.completion_tokens);
        add(&mut all.reasoning_tokens, *reasoning_tokens);
    }
    all
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn per_token(time: Duration, tokens: u32) -> f64 {
    if tokens == 0 { 0.0 } else { milliseconds(time) / f64::from(tokens) }
}
