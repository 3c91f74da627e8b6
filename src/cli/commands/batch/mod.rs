//! `ggrun batch`: JSON lines in, JSON lines out. Messages go to standard error.

mod args;
mod dry;
mod prepare;
mod progress;
mod slots;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use ggrun::batch::{self, Journal, Options, Report, Stop, Targets};
use ggrun::model::{caps, model_digest};
use serde_json::json;

pub(crate) use args::BatchArgs;
use prepare::{defaults, first_look};
use progress::Show;

use crate::cli::error::{Interrupted, NoOutput};
use crate::cli::exit::Outcome;
use crate::cli::interrupt::Interrupt;
use crate::cli::options::checks;
use crate::cli::shared::open::{self, Opened};
use crate::cli::shared::source;
use crate::cli::ui::out::print_result;
use crate::cli::ui::text;

pub(crate) fn run(args: &BatchArgs) -> anyhow::Result<Outcome> {
    let input = args.input.as_deref().context("no input, expected IN.jsonl")?;
    args.model.named()?;
    let generation = checks::generation(&args.generation, &args.escape)?;
    let template = args.template.source()?;
    check_files(args, input)?;
    let interrupt = Interrupt::listen();
    let path = &source::model(&args.model, args.progress.of_download())?;
    if args.dry_run {
        return dry::run(args, generation, template, input, path, &interrupt);
    }
    let output = args.output.clone().unwrap_or_default();
    let digest = model_digest(&args.placement.options(path), template.as_deref())?;
    let model_id = format!("{:016x}", u64::from_be_bytes(digest.as_chunks::<8>().0[0]));
    let targets = Targets { out: output.clone(), errors: args.errors.clone(), order: args.order.into() };
    let mut journal = Journal::open(&targets, input, &model_id, args.allow_model_change)?;
    let survey = first_look(&generation, input, &interrupt)?;
    let chosen = slots::choose(args, path, survey.as_ref())?;
    let slots = chosen.parallel;
    let Opened { session, model, .. } = &open::open(chosen, template, &interrupt)?;
    let options = Options {
        defaults: defaults(generation, model, session.template())?,
        slots,
        retries: args.retry,
        retry_failed: args.retry_failed,
        strict: args.strict,
        model_name: path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
        model: model_id,
        fingerprint: format!("ggrun-{}-{}", env!("CARGO_PKG_VERSION"), caps().build),
    };
    let show = Show::new(args.progress, survey.as_ref().map(|survey| survey.rows));
    show.say(&format!(
        "{} of {} tokens: {}",
        text::plural(slots.into(), "slot"),
        model.placement().context,
        model.placement().reason
    ));
    if journal.rows_before() > 0 {
        show.say(&format!("resuming after {}", text::plural(journal.rows_before() as u64, "row")));
    }
    let begun = Instant::now();
    let rows = batch::open(input)?;
    let stop = || match (interrupt.is_raised(), interrupt.is_final()) {
        (false, _) => Stop::No,
        (true, false) => Stop::Drain,
        (true, true) => Stop::Now,
    };
    let mut announced = false;
    let report = batch::run(session, rows, input, &mut journal, &options, &stop, &mut |progress| {
        for ignored in progress.ignored.drain(..) {
            show.say(&format!("warning: {ignored}"));
        }
        if interrupt.is_raised() && !std::mem::replace(&mut announced, true) && progress.running > 0 {
            let rows = text::plural(progress.running, "row");
            show.say(&format!("finishing {rows}; press Ctrl-C again to stop at once"));
        }
        show.observe(progress, begun.elapsed());
    });
    show.end();
    let report = report?;
    finish(args, &report, &show, begun.elapsed())?;
    if !report.complete {
        if !journal.is_stream() {
            show.say(&format!("stopped; run the same command to resume `{}`", output.display()));
        }
        return Err(Interrupted.into());
    }
    let failed = report.progress.failed + report.progress.failed_before;
    Ok(if failed > 0 { Outcome::RowsFailed } else { Outcome::Success })
}

/// Refuses files that cannot be read or written, before a model is loaded.
fn check_files(args: &BatchArgs, input: &Path) -> anyhow::Result<()> {
    checks::input(input)?;
    if args.dry_run {
        return Ok(());
    }
    let Some(output) = &args.output else { return Err(NoOutput.into()) };
    let on_stdout = output.as_os_str() == "-";
    anyhow::ensure!(!(args.json && on_stdout), "`--json` and `-o -` would both write to standard output");
    for (name, path) in [("`-o`", Some(output)), ("`--errors`", args.errors.as_ref())] {
        let Some(path) = path else { continue };
        checks::output(path)?;
        checks::apart(("the input", input), (name, path))?;
    }
    args.errors.as_ref().map_or(Ok(()), |errors| checks::apart(("`-o`", output), ("`--errors`", errors)))
}

/// Writes the result.
fn finish(args: &BatchArgs, report: &Report, show: &Show, elapsed: Duration) -> anyhow::Result<()> {
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
    show.say(&parts.join(", "));
    show.say(&format!(
        "{} written in {}, {rate:.1} t/s",
        text::plural(progress.completion_tokens, "token"),
        progress::clock(elapsed)
    ));
    if args.json {
        let causes = progress::causes_object(&report.causes);
        let object = json!({
            "schema_version": 1, "complete": report.complete, "rows_done": progress.done,
            "rows_done_before": progress.done_before, "rows_changed": progress.changed,
            "rows_failed": progress.failed, "rows_failed_before": progress.failed_before, "causes": causes,
            "prompt_tokens": progress.prompt_tokens, "completion_tokens": progress.completion_tokens,
            "seconds": elapsed.as_secs_f64(), "tokens_per_second": rate,
        });
        print_result(&format!("{object:#}\n"))?;
    }
    Ok(())
}
