//! The progress of a batch: rows, tokens, rate, time left.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::Duration;

use clap::ValueEnum;
use ggrun::batch::{Cause, Progress, time_left};
use indicatif::{FormattedDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use crate::cli::ui::err;
use crate::cli::ui::text;
use crate::cli::ui::when::When;

/// The form of the progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// A bar on a terminal, else plain lines
    Auto,
    Bar,
    /// A line every ten seconds
    Plain,
    /// A line with a JSON object every second
    Json,
    None,
}

impl Kind {
    /// When the download before the batch is shown.
    pub(super) fn of_download(self) -> When {
        match self {
            Self::Auto | Self::Bar => When::Auto,
            Self::Plain => When::Always,
            Self::Json | Self::None => When::Never,
        }
    }
}

/// The progress on standard error.
pub(super) struct Show {
    kind: Kind,
    rows: Option<u64>,
    bar: ProgressBar,
    /// The time of the last report.
    last: Cell<Duration>,
}

impl Show {
    /// Shows nothing yet. `rows` is their number, if it is known.
    pub(super) fn new(kind: Kind, rows: Option<u64>) -> Self {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let terminal = err::is_terminal() && !dumb;
        let kind = match kind {
            Kind::Auto | Kind::Bar | Kind::Plain if err::is_quiet() => Kind::None,
            Kind::Auto if terminal => Kind::Bar,
            Kind::Auto => Kind::Plain,
            other => other,
        };
        let target =
            if kind == Kind::Bar { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(rows, target);
        let template = if rows.is_some() { "{bar:20} {wide_msg}" } else { "{spinner} {wide_msg}" };
        let style = ProgressStyle::with_template(template).expect("the template is valid");
        bar.set_style(style.progress_chars("=> "));
        if kind == Kind::Bar {
            err::clear_for_lines(&bar);
        }
        Self { kind, rows, bar, last: Cell::new(Duration::ZERO) }
    }

    pub(super) fn observe(&self, progress: &Progress, elapsed: Duration) {
        let pause = match self.kind {
            Kind::Bar => Duration::from_millis(100),
            Kind::Json => Duration::from_secs(1),
            _ => Duration::from_secs(10),
        };
        if self.kind == Kind::None || elapsed.saturating_sub(self.last.get()) < pause {
            return;
        }
        self.last.set(elapsed);
        match self.kind {
            Kind::Bar => {
                self.bar.set_position(over(progress));
                self.bar.set_message(line(progress, self.rows, elapsed));
            }
            Kind::Json => err::json(&object(progress, self.rows, elapsed)),
            _ => err::note(&line(progress, self.rows, elapsed)),
        }
    }

    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }
}

/// The number of failed rows by cause: `3 invalid_request, 1 context`.
pub(super) fn causes(causes: &BTreeMap<Cause, u64>) -> String {
    let counted = causes.iter().map(|(cause, n)| format!("{} {}", text::count(*n), cause.code()));
    counted.collect::<Vec<_>>().join(", ")
}

/// The same as a JSON object.
pub(super) fn causes_object(causes: &BTreeMap<Cause, u64>) -> serde_json::Value {
    causes.iter().map(|(cause, n)| (cause.code(), *n)).collect()
}

/// Tokens per second.
#[expect(clippy::cast_precision_loss, reason = "a rate")]
pub(super) fn rate(tokens: u64, elapsed: Duration) -> f64 {
    if elapsed.is_zero() { 0.0 } else { tokens as f64 / elapsed.as_secs_f64() }
}

/// `00:03:20`.
pub(super) fn clock(time: Duration) -> String {
    FormattedDuration(time).to_string()
}

/// Rows that are done, failed ones included.
fn over(progress: &Progress) -> u64 {
    progress.done + progress.failed + progress.done_before + progress.failed_before
}

fn line(progress: &Progress, rows: Option<u64>, elapsed: Duration) -> String {
    let of = rows.map(|rows| format!(" of {}", text::count(rows))).unwrap_or_default();
    let failed = match progress.failed {
        0 => String::new(),
        failed => format!(", {} failed", text::count(failed)),
    };
    let left = time_left(progress, rows, elapsed).map(|left| format!(", {} left", clock(left)));
    format!(
        "{}{of} rows, {} tokens, {:.1} t/s{failed}{}",
        text::count(over(progress)),
        text::count(progress.written_tokens),
        rate(progress.written_tokens, elapsed),
        left.unwrap_or_default()
    )
}

fn object(progress: &Progress, rows: Option<u64>, elapsed: Duration) -> serde_json::Value {
    json!({
        "rows": rows, "rows_done": progress.done, "rows_failed": progress.failed,
        "rows_done_before": progress.done_before, "rows_failed_before": progress.failed_before,
        "rows_running": progress.running, "prompt_tokens": progress.prompt_tokens,
        "completion_tokens": progress.completion_tokens, "written_tokens": progress.written_tokens,
        "tokens_per_second": rate(progress.written_tokens, elapsed), "seconds": elapsed.as_secs_f64(),
        "seconds_left": time_left(progress, rows, elapsed).map(|left| left.as_secs_f64()),
    })
}
