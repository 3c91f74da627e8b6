//! The result of a batch.

use std::path::Path;
use std::time::Duration;

use ggrun::batch::{Cause, Example, Report, Targets};
use serde_json::json;

use super::args::BatchArgs;
use super::progress;
use crate::cli::ui::out::print_result;
use crate::cli::ui::{err, text};

/// Characters of an error that are shown.
const SHOWN: usize = 200;

/// Prints the result.
pub(super) fn finish(
    args: &BatchArgs,
    targets: &Targets,
    report: &Report,
    elapsed: Duration,
) -> anyhow::Result<()> {
    let progress = &report.progress;
    let rate = progress::rate(progress.written_tokens, elapsed);
    let mut parts = vec![format!("{} answered", text::count(progress.done))];
    if progress.done_before > 0 {
        parts.push(format!("{} kept from an earlier run", text::count(progress.done_before)));
    }
    if progress.changed > 0 {
        parts.push(format!("{} changed", text::plural(progress.changed, "request")));
    }
    if progress.failed > 0 {
        parts.push(format!("{} failed ({})", text::count(progress.failed), progress::causes(&report.causes)));
    }
    if progress.failed_before > 0 {
        parts.push(format!("{} failed in an earlier run", text::count(progress.failed_before)));
    }
    err::note(&parts.join(", "));
    err::note(&format!(
        "{} written in {}, {rate:.1} t/s",
        text::plural(progress.completion_tokens, "token"),
        progress::clock(elapsed)
    ));
    let failed_in = targets.errors.as_deref().unwrap_or(&targets.out);
    for line in failures(report, failed_in) {
        err::note(&line);
    }
    if args.json {
        let causes = progress::causes_object(&report.causes);
        let examples: Vec<_> =
            report.examples.iter().map(|(cause, example)| object(*cause, example)).collect();
        let object = json!({
            "schema_version": 1, "complete": report.complete, "rows_done": progress.done,
            "rows_done_before": progress.done_before, "rows_changed": progress.changed,
            "rows_failed": progress.failed, "rows_failed_before": progress.failed_before, "causes": causes,
            "failed_rows_in": failed_in.display().to_string(), "failure_examples": examples,
            "prompt_tokens": progress.prompt_tokens, "completion_tokens": progress.completion_tokens,
            "seconds": elapsed.as_secs_f64(), "tokens_per_second": rate,
        });
        print_result(&format!("{object:#}\n"))?;
    }
    Ok(())
}

/// Where failed rows are, with one of each cause.
fn failures(report: &Report, failed_in: &Path) -> Vec<String> {
    let progress = &report.progress;
    if progress.failed + progress.failed_before == 0 {
        return Vec::new();
    }
    let place = if failed_in.as_os_str() == "-" {
        "on standard output".to_owned()
    } else {
        format!("in `{}`", failed_in.display())
    };
    let retry = match progress.failed_before {
        0 => "",
        _ => "; `--retry-failed` retries those of earlier runs",
    };
    let mut lines = vec![format!("failed rows are {place}{retry}")];
    for (cause, Example { line, id, message }) in &report.examples {
        let message: String = message.chars().take(SHOWN).collect();
        let id: String = id.chars().take(SHOWN).collect();
        lines.push(format!("  {}, line {line}, `{id}`: {message}", cause.code()));
    }
    lines
}

fn object(cause: Cause, example: &Example) -> serde_json::Value {
    let Example { line, id, message } = example;
    json!({ "code": cause.code(), "line": line, "custom_id": id, "message": message })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn failed_rows_are_located_with_one_of_each_cause() {
        let mut report = Report::default();
        assert_eq!(failures(&report, Path::new("out")), [""; 0]);
        report.progress.failed = 3;
        let example = Example { line: 2, id: "a".to_owned(), message: "incomplete JSON".to_owned() };
        report.examples = BTreeMap::from([(Cause::BadJson, example)]);
        let lines = ["failed rows are in `out`", "  invalid_json, line 2, `a`: incomplete JSON"];
        assert_eq!(failures(&report, Path::new("out")), lines);
        report.progress.failed_before = 1;
        let first = "failed rows are on standard output; `--retry-failed` retries those of earlier runs";
        assert_eq!(failures(&report, Path::new("-"))[0], first);
    }
}
