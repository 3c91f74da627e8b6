//! `ggrun batch`: JSON lines or a table in, JSON lines out. Messages go to standard error.

mod args;
mod dry;
mod job;
mod prepare;
mod progress;
mod resume;
mod summary;
mod table;

use std::time::Instant;

use anyhow::Context as _;
use ggrun::batch::{self, Journal, Options, Stop};

pub(crate) use args::BatchArgs;
use job::Job;
use prepare::{check_files, default_output, first_look, load_options, over_recommended};
use progress::Show;

use crate::cli::error::Interrupted;
use crate::cli::exit::Outcome;
use crate::cli::interrupt::Interrupt;
use crate::cli::options::checks;
use crate::cli::shared::fingerprint::fingerprint;
use crate::cli::shared::open::{self, Opened};
use crate::cli::shared::source;
use crate::cli::ui::{err, text};

pub(crate) fn run(args: &BatchArgs) -> anyhow::Result<Outcome> {
    let input = args.input.as_deref().context("no input, expected IN")?;
    args.model.named()?;
    let options = checks::generation(&args.generation, &args.escape)?;
    let template = args.template.source()?;
    let defaults = batch::Defaults { options, system: args.system.text()? };
    batch::check(input)?;
    let format = args.table.format(input, &args.escape)?;
    let output = args.output.clone().or_else(|| default_output(input));
    check_files(args, input, output.as_deref())?;
    let interrupt = Interrupt::listen();
    let survey = first_look(&defaults, input, &format, &interrupt)?;
    let path = source::model(&args.model, args.progress.of_download())?;
    let job = Job { args, input, format, output, defaults, template, path: &path, interrupt: &interrupt };
    if args.dry_run { dry::run(job, survey.as_ref()) } else { answer(job, survey.as_ref()) }
}

fn answer(job: Job<'_>, survey: Option<&batch::Survey>) -> anyhow::Result<Outcome> {
    let targets = job.targets();
    let model_id = job.model_id()?;
    let mut journal = Journal::open(&targets, job.input, &model_id, job.args.allow_model_change)?;
    let rerun_changed = resume::may_rerun(&job, &journal)?;
    let Job { args, input, format, defaults, template, path, interrupt, .. } = job;
    let chosen = load_options(args, path, survey)?;
    let slots = chosen.parallel;
    let Opened { session, model, .. } = &open::open(chosen, template, interrupt)?;
    let options = Options {
        defaults: over_recommended(defaults, model, session.template())?,
        slots,
        retries: args.retry,
        retry_failed: args.retry_failed,
        rerun_changed,
        strict: args.strict,
        model_name: path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
        model: model_id,
        fingerprint: fingerprint(),
    };
    interrupt.continue_after_ctrl_c();
    let show = Show::new(args.progress, survey.map(|survey| survey.rows));
    err::note(&format!(
        "{} of {} tokens: {}",
        text::plural(slots.into(), "slot"),
        model.placement().context,
        model.placement().reason
    ));
    if args.output.is_none() {
        err::note(&format!("answers are written to `{}`", targets.out.display()));
    }
    if journal.rows_before() > 0 {
        err::note(&format!("resuming after {}", text::plural(journal.rows_before() as u64, "row")));
    }
    let begun = Instant::now();
    let rows = batch::open(input, &format)?;
    let stop = || match (interrupt.is_raised(), interrupt.is_final()) {
        (false, _) => Stop::No,
        (true, false) => Stop::Drain,
        (true, true) => Stop::Now,
    };
    let mut announced = false;
    let report = batch::run(session, rows, &mut journal, &options, &stop, &mut |progress| {
        for ignored in progress.ignored.drain(..) {
            err::warning(&ignored.to_string());
        }
        if interrupt.is_raised() && !std::mem::replace(&mut announced, true) && progress.running > 0 {
            let rows = text::plural(progress.running, "row");
            err::note(&format!("finishing {rows}; press Ctrl-C again to stop at once"));
        }
        show.observe(progress, begun.elapsed());
    });
    show.end();
    let report = report?;
    summary::finish(args, &targets, &report, begun.elapsed())?;
    if !report.complete {
        if !journal.is_stream() {
            err::note(&format!("stopped; run the same command to resume `{}`", targets.out.display()));
        }
        return Err(Interrupted.into());
    }
    let failed = report.progress.failed + report.progress.failed_before;
    Ok(if failed > 0 { Outcome::RowsFailed } else { Outcome::Success })
}
