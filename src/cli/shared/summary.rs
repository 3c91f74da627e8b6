//! The tokens and times of an answer in one line.

use ggrun::engine::FinishReason;
use ggrun::session::Answer;

/// The tokens and times of an answer in one line.
pub(crate) fn summary(answer: &Answer) -> String {
    let Answer { usage, timings, reason, .. } = answer;
    if usage.total.completion_tokens == 0 {
        return format!("prompt {} tokens · ended before the first token", usage.total.prompt_tokens);
    }
    let rate = |rate: Option<f64>| rate.map_or_else(String::new, |rate| format!(", {rate:.1}/s"));
    let reused = match usage.total.reused_tokens {
        0 => String::new(),
        tokens => format!(" (reused {tokens} of them)"),
    };
    let prompt = format!(
        "prompt {} tokens{reused} in {:.2} s{}",
        usage.total.prompt_tokens,
        timings.prefill.as_secs_f64(),
        rate(timings.prompt_rate(&usage.total))
    );
    let thinking = match usage.reasoning_tokens {
        0 => String::new(),
        tokens => format!("{tokens} thinking + "),
    };
    let written = format!(
        "{thinking}{} answer tokens in {:.2} s{}",
        usage.answer_tokens(),
        timings.decode.as_secs_f64(),
        rate(timings.decode_rate(&usage.total))
    );
    let first = format!("first token after {:.2} s", timings.time_to_first_token().as_secs_f64());
    let end = match reason {
        FinishReason::Stop | FinishReason::StopString(_) => "",
        FinishReason::Length => " · stopped at the token limit (-n)",
        FinishReason::Context => " · stopped at the end of the context (-c)",
        FinishReason::Cancelled => " · stopped",
    };
    format!("{prompt} · {first} · {written}{end}")
}
