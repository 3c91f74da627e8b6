//! llama-server's metrics under its names, for its dashboards.

use prometheus::proto::MetricFamily;

use super::families::{counter, float, gauge, running};
use crate::engine::Status;

/// Totals of finished answers.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Totals {
    /// Prompt tokens that were not in the cache.
    pub(super) read: u64,
    pub(super) read_seconds: f64,
    /// Tokens after the first of each answer.
    pub(super) written: u64,
    pub(super) written_seconds: f64,
    /// The longest sequence.
    pub(super) longest: u64,
}

/// The totals when rates were last asked for.
#[derive(Debug, Default)]
pub(super) struct Window(Totals);

/// The metrics of a status and of the finished answers. Rates are those since the last call.
pub(super) fn families(status: &Status, totals: &Totals, window: &mut Window) -> Vec<MetricFamily> {
    let Status { waiting, counters, .. } = status;
    let Window(last) = std::mem::replace(window, Window(*totals));
    let steps = float(counters.steps);
    let counters = [
        (
            "prompt_tokens_total",
            "Prompt tokens read, without those in the cache",
            float(counters.tokens_read),
        ),
        ("prompt_tokens_cached_total", "Prompt tokens in the cache", float(counters.tokens_reused)),
        ("prompt_seconds_total", "Time to read the prompts of finished answers", totals.read_seconds),
        ("tokens_predicted_total", "Tokens written", float(counters.tokens_written)),
        ("tokens_predicted_seconds_total", "Time to write finished answers", totals.written_seconds),
        ("n_decode_total", "Steps", steps),
        ("n_tokens_max", "Longest sequence of a finished answer", float(totals.longest)),
        ("spec_decode_num_draft_tokens_total", "Drafted tokens; this server drafts none", 0.0),
        ("spec_decode_num_accepted_tokens_total", "Accepted drafted tokens; this server drafts none", 0.0),
        ("spec_decode_num_drafts_total", "Verified drafts; this server drafts none", 0.0),
    ]
    .map(|(name, help, value)| counter(&format!("llamacpp:{name}"), help, value));
    let slots = float(status.counters.step_slots);
    let gauges = [
        (
            "prompt_tokens_seconds",
            "Prompt tokens read per second, of answers finished since the last request of the metrics",
            rate(totals.read.saturating_sub(last.read), totals.read_seconds - last.read_seconds),
        ),
        (
            "predicted_tokens_seconds",
            "Tokens written per second, of answers finished since the last request of the metrics",
            rate(totals.written.saturating_sub(last.written), totals.written_seconds - last.written_seconds),
        ),
        ("requests_processing", "Requests in slots", float(running(status))),
        ("requests_deferred", "Requests that wait for a slot", float(waiting.len() as u64)),
        ("n_busy_slots_per_decode", "Slots at work in a step, on average", slots / steps.max(1.0)),
    ]
    .map(|(name, help, value)| gauge(&format!("llamacpp:{name}"), help, value));
    counters.into_iter().chain(gauges).collect()
}

fn rate(tokens: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { float(tokens) / seconds } else { 0.0 }
}
