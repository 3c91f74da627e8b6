//! `ggrun batch --dry-run`: errors of the rows, their tokens, and an estimate of the time.

use std::path::Path;
use std::time::Duration;

use ggrun::batch::{self, Earlier, Ignored, Judge, Survey};
use ggrun::bench::{self, Test};
use ggrun::engine::{DecodeError, Submitter, Vocab as _};
use ggrun::model::{Abort, Model};
use serde_json::json;

use super::job::Job;
use super::prepare::load_options;
use super::prepare::over_recommended;
use super::progress;
use crate::cli::error::Interrupted;
use crate::cli::exit::Outcome;
use crate::cli::interrupt::Interrupt;
use crate::cli::shared::open;
use crate::cli::ui::out::print_result;
use crate::cli::ui::text;

/// Tokens that are read, and that are written in each slot, to measure the speed.
const READ: u32 = 128;
const WRITTEN: u32 = 8;

pub(super) fn run(job: Job<'_>, look: Option<&Survey>) -> anyhow::Result<Outcome> {
    let earlier = if job.output.is_some() {
        Earlier::read(&job.targets(), &job.model_id()?, job.args.allow_model_change)?
    } else {
        Earlier::default()
    };
    let output = job.output.clone().unwrap_or_default();
    let Job { args, input, format, defaults, template, path, interrupt, .. } = job;
    let options = load_options(args, path, look)?;
    let slots = options.parallel;
    let model = open::load(options, interrupt, |_| ())?;
    // The requests are only checked.
    let session = open::session(&model, template, Submitter::disconnected())?;
    let defaults = over_recommended(defaults, &model, session.template())?;
    let context = model.placement().context;
    let check = |params: &_| model.check_sampling(params);
    let vocabulary = model.vocab().size();
    let judge = Judge {
        session: &session,
        context,
        vocabulary,
        check: &check,
        strict: args.strict,
        earlier: &earlier,
        retry_failed: args.retry_failed,
    };
    let rows = batch::open(input, &format)?;
    let survey = batch::dry_run(rows, &defaults, &judge, &|| !interrupt.is_raised())?;
    if interrupt.is_raised() {
        return Err(Interrupted.into());
    }
    let pace = if survey.prompt_tokens > 0 { Some(Pace::measure(&model, slots, interrupt)?) } else { None };
    print_result(&if args.json {
        format!("{:#}\n", object(&survey, slots, context, pace))
    } else {
        show(&survey, &output, slots, context, pace)
    })?;
    Ok(if survey.causes.is_empty() && survey.refused == 0 { Outcome::Success } else { Outcome::RowsFailed })
}

/// Tokens per second of this model on this machine, as measured.
#[derive(Debug, Clone, Copy)]
struct Pace {
    reading: f64,
    /// With all slots at work.
    writing: f64,
}

impl Pace {
    fn measure(model: &Model, slots: u32, interrupt: &Interrupt) -> anyhow::Result<Self> {
        let (vocab, context) = (model.vocab().size(), model.placement().context);
        let mut decoder = model.decoder(Abort::of(interrupt.shared()))?;
        let interrupted = |error: DecodeError| match error {
            DecodeError::Aborted => anyhow::Error::from(Interrupted),
            error => error.into(),
        };
        let test = Test { prompt: READ.min(context), answer: 0, depth: 0, slots: 1 };
        let go_on = |_| !interrupt.is_raised();
        let reading = bench::run(&mut decoder, vocab, test, 1, go_on).map_err(interrupted)?.mean();
        let steps = WRITTEN.min(context.saturating_sub(1));
        let writing = bench::together(&mut decoder, vocab, slots, steps).map_err(interrupted)?;
        if interrupt.is_raised() { Err(Interrupted.into()) } else { Ok(Self { reading, writing }) }
    }

    fn seconds(self, survey: &Survey) -> Seconds {
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let time = |tokens: u64, rate: f64| if rate > 0.0 { tokens as f64 / rate } else { 0.0 };
        let limited = survey.limited_tokens > 0 || survey.unlimited == 0;
        Seconds {
            prompts: time(survey.prompt_tokens, self.reading),
            limited: limited.then(|| time(survey.limited_tokens, self.writing)),
            filling: (survey.unlimited > 0).then(|| time(survey.filling_tokens, self.writing)),
        }
    }
}

/// Estimates of the time for all rows.
struct Seconds {
    prompts: f64,
    /// For answers up to their limits.
    limited: Option<f64>,
    /// For answers without a limit, if each fills the context.
    filling: Option<f64>,
}

fn show(survey: &Survey, output: &Path, slots: u32, context: u32, pace: Option<Pace>) -> String {
    let mut lines = vec![format!("rows      {}", text::count(survey.rows))];
    if survey.answered + survey.refused + survey.changed > 0 {
        let mut found = vec![format!("{} answered", text::count(survey.answered))];
        if survey.refused > 0 {
            found.push(format!("{} failed (`--retry-failed` retries them)", text::count(survey.refused)));
        }
        if survey.changed > 0 {
            let changed = text::count(survey.changed);
            found
                .push(format!("{changed} answered but changed since (`--rerun-changed` answers them again)"));
        }
        lines.push(format!("found     in `{}`: {}", output.display(), found.join(", ")));
        let left = survey.rows - survey.answered - survey.refused;
        lines.push(format!("left      {}", text::plural(left, "row")));
    }
    if !survey.causes.is_empty() {
        let failed: u64 = survey.causes.values().sum();
        lines.push(format!("failed    {}: {}", text::count(failed), progress::causes(&survey.causes)));
        for (line, id, failure) in &survey.failures {
            lines.push(format!("          line {line}, `{id}`: {}", failure.message()));
        }
    }
    for (kind, names) in [("unknown", ignored(survey, true)), ("unsupported", ignored(survey, false))] {
        if !names.is_empty() {
            lines.push(format!("ignored   {kind} fields: {}", names.join(", ")));
        }
    }
    lines.push(format!("prompts   {} tokens", text::count(survey.prompt_tokens)));
    let limited = text::count(survey.limited_tokens);
    let unlimited = text::plural(survey.unlimited, "answer");
    let filling = format!("up to {} tokens if each fills the context", text::count(survey.filling_tokens));
    lines.push(match (survey.limited_tokens, survey.unlimited) {
        (_, 0) => format!("answers   up to {limited} tokens"),
        (0, _) => format!("answers   {unlimited} without a limit: {filling}"),
        _ => format!("answers   up to {limited} tokens, and {unlimited} without a limit: {filling}"),
    });
    lines.push(format!(
        "longest   {} tokens with its answer; {} of {context} tokens",
        text::count(survey.longest),
        text::plural(slots.into(), "slot"),
    ));
    if let Some(pace) = pace {
        let clock = |seconds: f64| progress::clock(Duration::from_secs_f64(seconds.min(1e9)));
        let Seconds { prompts, limited, filling } = pace.seconds(survey);
        lines.push(format!("time      prompts: {}, less where they share a prefix", clock(prompts)));
        let limited = limited.map(|time| format!("up to {}", clock(time)));
        let filling = filling.map(|time| {
            let most = clock(time);
            format!("unknown length, up to {most} if each fills the context (set `-n` for an estimate)")
        });
        let answers: Vec<String> = limited.into_iter().chain(filling).collect();
        lines.push(format!("          answers: {}", answers.join(", and others of ")));
        lines.push(format!(
            "          measured: {:.1} t/s read, {:.1} t/s written in {}",
            pace.reading,
            pace.writing,
            text::plural(slots.into(), "slot")
        ));
    }
    lines.join("\n") + "\n"
}

/// The names of ignored fields: of those that are unknown, or of those with an unsupported value.
fn ignored(survey: &Survey, unknown: bool) -> Vec<&str> {
    let fields = survey.ignored.iter().filter(|field| matches!(field, Ignored::Unknown(_)) == unknown);
    fields.map(Ignored::name).collect()
}

fn object(survey: &Survey, slots: u32, context: u32, pace: Option<Pace>) -> serde_json::Value {
    let failures: Vec<_> = survey
        .failures
        .iter()
        .map(|(line, id, failure)| {
            json!({ "line": line, "custom_id": id, "code": failure.cause.code(), "message": failure.message() })
        })
        .collect();
    let time = pace.map(|pace| pace.seconds(survey));
    let time = time.map(|Seconds { prompts, limited, filling }| {
        json!({ "prompts": prompts, "answers": limited, "answers_without_limit": filling })
    });
    json!({
        "schema_version": 1, "rows": survey.rows, "rows_done_before": survey.answered,
        "rows_failed_before": survey.refused, "rows_changed": survey.changed,
        "causes": progress::causes_object(&survey.causes), "first_failures": failures,
        "unknown_fields": ignored(survey, true), "unsupported_fields": ignored(survey, false),
        "prompt_tokens": survey.prompt_tokens,
        "limited_completion_tokens": survey.limited_tokens, "answers_without_limit": survey.unlimited,
        "filling_completion_tokens": survey.filling_tokens,
        "longest_tokens": survey.longest, "slots": slots, "context": context,
        "seconds": time,
        "tokens_per_second": pace.map(|pace| json!({ "read": pace.reading, "written": pace.writing })),
    })
}
