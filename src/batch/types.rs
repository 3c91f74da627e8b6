//! Options, progress and result of a run.

use std::collections::BTreeMap;
use std::time::Duration;

use super::defaults::Defaults;
use super::failure::Cause;
use super::ignored::Ignored;

/// How rows are answered.
#[derive(Debug, Clone)]
pub struct Options {
    /// What applies to rows that do not say otherwise. A row without a seed gets one from its hash.
    pub defaults: Defaults,
    /// Requests that the engine answers at once.
    pub slots: u32,
    /// How often a row is retried when the engine fails.
    pub retries: u32,
    /// Whether rows that an earlier run refused are retried.
    pub retry_failed: bool,
    /// Whether rows whose request changed since it was answered are answered again. Otherwise the run ends at the first.
    pub rerun_changed: bool,
    /// Whether an ignored field fails its row.
    pub strict: bool,
    /// The name of the model in answers.
    pub model_name: String,
    /// The identity of the model: rows of another one are refused.
    pub model: String,
    /// The versions of program and engine.
    pub fingerprint: String,
}

/// Whether a run continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// It continues.
    No,
    /// It begins no more rows.
    Drain,
    /// It ends at once.
    Now,
}

/// The progress of a run.
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
    /// Rows whose request changed since an earlier run.
    pub changed: u64,
    /// Rows being answered.
    pub running: u64,
    /// Prompt tokens of the rows answered by this run.
    pub prompt_tokens: u64,
    /// Completion tokens of the rows answered by this run.
    pub completion_tokens: u64,
    /// Tokens written by this run, those of unfinished answers included.
    pub written_tokens: u64,
    /// Ignored fields found since the last report, each once.
    pub ignored: Vec<Ignored>,
}

/// The result of a run.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Its progress at the end.
    pub progress: Progress,
    /// Failed rows by cause.
    pub causes: BTreeMap<Cause, u64>,
    /// The first failed row of each cause.
    pub examples: BTreeMap<Cause, Example>,
    /// Whether it read all of the input.
    pub complete: bool,
}

/// A failed row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// The number of its line.
    pub line: u64,
    /// Its id.
    pub id: String,
    /// Its error.
    pub message: String,
}

/// Estimates the time left from the tokens; `None` before the first row is answered.
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
    // A part of the unfinished answers is written already.
    let tokens = (left * each - (written - ended).max(0.0)).max(0.0);
    (rate > 0.0).then(|| Duration::from_secs_f64((tokens / rate).min(1e9)))
}
