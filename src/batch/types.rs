//! What a run is told, and what it tells.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Cause;
use crate::openai::Defaults;

/// How rows are answered.
#[derive(Debug, Clone)]
pub struct Options {
    /// What holds where a row says nothing.
    pub defaults: Defaults,
    /// The seed of rows that choose none; where it is absent too, each has one that follows from its request.
    pub seed: Option<u32>,
    /// Requests that the engine answers at once.
    pub slots: u32,
    /// How often a row is asked again when the engine failed.
    pub retries: u32,
    /// Whether rows that an earlier run refused are asked again.
    pub retry_failed: bool,
    /// Whether a field that nobody knows is a failure of its row.
    pub strict: bool,
    /// The name of the model in answers.
    pub model_name: String,
    /// What tells one model from another; see [`crate::session`] for what answers depend on besides.
    pub model: String,
    /// The program and its engine.
    pub fingerprint: String,
}

/// What the user wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// To go on.
    No,
    /// To begin nothing more.
    Drain,
    /// To end at once.
    Now,
}

/// How far a run is.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    /// Rows answered by this run.
    pub done: u64,
    /// Rows that failed in this run.
    pub failed: u64,
    /// Rows that an earlier run answered.
    pub done_before: u64,
    /// Rows that an earlier run refused.
    pub failed_before: u64,
    /// Rows answered before, to another request.
    pub changed: u64,
    /// Rows at work.
    pub running: u64,
    /// Tokens read for rows that this run answered.
    pub prompt_tokens: u64,
    /// Tokens written for them.
    pub completion_tokens: u64,
    /// Tokens written by this run so far, those of rows at work too.
    pub written_tokens: u64,
    /// Fields that nobody knows, since the last time.
    pub unknown: Vec<String>,
}

/// How a run ended.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// How far it came.
    pub progress: Progress,
    /// Failed rows by cause.
    pub causes: BTreeMap<Cause, u64>,
    /// Whether every row of the input was seen.
    pub complete: bool,
}

/// How long a run may still take, by tokens; `None` before anything is known.
#[must_use]
pub fn time_left(progress: &Progress, rows: Option<u64>, elapsed: Duration) -> Option<Duration> {
    let over = progress.done + progress.failed + progress.done_before + progress.failed_before;
    let left = rows?.saturating_sub(over);
    if progress.done == 0 || elapsed.is_zero() {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    let (done, written, ended, left) = (
        progress.done as f64,
        progress.written_tokens as f64,
        progress.completion_tokens as f64,
        left as f64,
    );
    let (each, rate) = (ended / done, written / elapsed.as_secs_f64());
    // Rows at work have written a part of theirs.
    let tokens = (left * each - (written - ended).max(0.0)).max(0.0);
    (rate > 0.0).then(|| Duration::from_secs_f64((tokens / rate).min(1e9)))
}
