//! The line on standard error for each response.

use std::time::UNIX_EPOCH;

use ggrun::serve::access::{Log, Record};
use serde_json::{Value, json};

use crate::cli::ui::err;

/// A log that prints a line, or a JSON object, for each response.
pub(super) fn log(as_json: bool) -> Log {
    Log::new(move |record| if as_json { err::json(&object(record)) } else { err::note(&line(record)) })
}

/// `POST /v1/chat/completions 200 120+64 tokens 1.52 s req_…`.
fn line(record: &Record) -> String {
    let Record { method, path, status, took, id, tokens, .. } = record;
    let mut parts = vec![format!("{method} {path} {status}")];
    if tokens.prompt > 0 {
        let cached = if tokens.cached > 0 { format!(", {} cached", tokens.cached) } else { String::new() };
        parts.push(format!("{}+{} tokens{cached}", tokens.prompt, tokens.generated));
    }
    let first = tokens.first.map(|first| format!(", first token after {:.3} s", first.as_secs_f64()));
    parts.push(format!("{:.3} s{}", took.as_secs_f64(), first.unwrap_or_default()));
    parts.extend(record.disconnected.then(|| "disconnected".to_owned()));
    parts.push(id.to_string());
    parts.join(" ")
}

fn object(record: &Record) -> Value {
    let Record { time, id, client, method, path, status, bytes, took, disconnected, tokens } = record;
    let time = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    json!({
        "time": time.as_secs_f64(),
        "id": id.as_str(),
        "client": client,
        "method": method.as_str(),
        "path": path,
        "status": status,
        "bytes": bytes,
        "seconds": took.as_secs_f64(),
        "disconnected": disconnected,
        "prompt_tokens": tokens.prompt,
        "cached_tokens": tokens.cached,
        "completion_tokens": tokens.generated,
        "queued_seconds": tokens.queued.map(|time| time.as_secs_f64()),
        "first_token_seconds": tokens.first.map(|time| time.as_secs_f64()),
    })
}
