//! The object that `--json` prints. Its field names are stable.

use std::io::{self, Write};
use std::time::Duration;

use ggrun::openai;
use ggrun::session::Answer;
use serde::Serialize;

/// Incremented when a field changes its meaning or is removed.
const SCHEMA_VERSION: u32 = 1;

#[derive(Serialize)]
struct Report<'a> {
    schema_version: u32,
    prompt: &'a str,
    reasoning_content: &'a str,
    content: &'a str,
    tool_calls: Vec<serde_json::Value>,
    finish_reason: &'static str,
    seed: u32,
    usage: Usage,
    timings: Timings,
}

#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "names of `OpenAI`'s API")]
struct Usage {
    prompt_tokens: u32,
    reused_tokens: u32,
    completion_tokens: u32,
    reasoning_tokens: u32,
    answer_tokens: u32,
    total_tokens: u32,
}

#[derive(Serialize)]
struct Timings {
    queued_ms: f64,
    time_to_first_token_ms: f64,
    prompt_ms: f64,
    prompt_per_second: Option<f64>,
    predicted_ms: f64,
    predicted_per_second: Option<f64>,
}

/// Writes one object and a newline.
pub(crate) fn write(out: &mut dyn Write, prompt: &str, answer: &Answer, seed: u32) -> io::Result<()> {
    let Answer { reasoning, content, tool_calls, reason, usage, timings, .. } = answer;
    let (read, written) = (usage.total.prompt_tokens, usage.total.completion_tokens);
    let report = Report {
        schema_version: SCHEMA_VERSION,
        prompt,
        reasoning_content: reasoning,
        content,
        tool_calls: tool_calls.iter().map(openai::call).collect(),
        finish_reason: openai::finish_reason(*reason, !tool_calls.is_empty()),
        seed,
        usage: Usage {
            prompt_tokens: read,
            reused_tokens: usage.total.reused_tokens,
            completion_tokens: written,
            reasoning_tokens: usage.reasoning_tokens,
            answer_tokens: usage.answer_tokens(),
            total_tokens: read.saturating_add(written),
        },
        timings: Timings {
            queued_ms: milliseconds(timings.queued),
            time_to_first_token_ms: milliseconds(timings.time_to_first_token()),
            prompt_ms: milliseconds(timings.prefill),
            prompt_per_second: timings.prompt_rate(&usage.total),
            predicted_ms: milliseconds(timings.decode),
            predicted_per_second: timings.decode_rate(&usage.total),
        },
    };
    serde_json::to_writer(&mut *out, &report)?;
    out.write_all(b"\n")
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
