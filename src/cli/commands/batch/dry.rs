//! `ggrun batch --dry-run`: errors of the rows, their tokens, and an estimate of the time.

use std::path::Path;
use std::time::Duration;

use ggrun::batch::{self, Ignored, Judge, Survey};
use ggrun::bench::{self, Test};
use ggrun::engine::{DecodeError, Submitter, Vocab as _};
use ggrun::model::{Abort, Model};
use ggrun::session::GenerationOptions;
use serde_json::json;

use super::args::BatchArgs;
use super::prepare::{defaults, first_look};
use super::{progress, slots};
use crate::cli::error::Interrupted;
use crate::cli::exit::Outcome;
use crate::cli::interrupt::Interrupt;
use crate::cli::shared::open;
use crate::cli::ui::out::print_result;
use crate::cli::ui::text;

/// Tokens that are read, and that are written in each slot, to measure the speed.
const READ: u32 = 128;
const WRITTEN: u32 = 8;

pub(super) fn run(
    args: &BatchArgs,
    generation: GenerationOptions,
    template: Option<String>,
    input: &Path,
    model: &Path,
    interrupt: &Interrupt,
) -> anyhow::Result<Outcome> {
    let look = first_look(&generation, input, interrupt)?;
    let options = slots::choose(args, model, look.as_ref())?;
    let slots = options.parallel;
    let model = open::load(options, interrupt)?;
    // The requests are only checked.
    let session = open::session(&model, template, Submitter::disconnected())?;
    let defaults = defaults(generation, &model, session.template())?;
    let context = model.placement().context;
    let check = |params: &_| model.check_sampling(params);
    let vocabulary = model.vocab().size();
    let judge = Judge { session: &session, context, vocabulary, check: &check, strict: args.strict };
    let survey = batch::dry_run(batch::open(input)?, input, &defaults, &judge, &|| !interrupt.is_raised())?;
    if interrupt.is_raised() {
        return Err(Interrupted.into());
    }
    let pace = if survey.prompt_tokens > 0 { Some(Pace::measure(&model, slots, interrupt)?) } else { None };
    print_result(&if args.json {
        format!("{:#}\n", object(&survey, slots, context, pace))
    } else {
        show(&survey, slots, context, pace)
    })?;
    Ok(if survey.causes.is_empty() { Outcome::Success } else { Outcome::RowsFailed })
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
        let test = Test { prompt: READ.min(context), answer: 0, depth: 0 };
        let go_on = |_| !interrupt.is_raised();
        let reading = bench::run(&mut decoder, vocab, test, 1, go_on).map_err(interrupted)?.mean();
        let steps = WRITTEN.min(context.saturating_sub(1));
        let writing = bench::together(&mut decoder, vocab, slots, steps).map_err(interrupted)?;
        if interrupt.is_raised() { Err(Interrupted.into()) } else { Ok(Self { reading, writing }) }
    }

    /// Seconds to read all prompts, and to write all answers up to their limits.
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    fn seconds(self, survey: &Survey) -> (f64, f64) {
        let time = |tokens: u64, rate: f64| if rate > 0.0 { tokens as f64 / rate } else { 0.0 };
        (time(survey.prompt_tokens, self.reading), time(survey.limited_tokens, self.writing))
    }
}

fn show(survey: &Survey, slots: u32, context: u32, pace: Option<Pace>) -> String {
    let mut lines = vec![format!("rows      {}", text::count(survey.rows))];
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
    let unlimited = match survey.unlimited {
        0 => String::new(),
        n => format!(", {} without a limit", text::plural(n, "answer")),
    };
    lines.push(format!("answers   up to {limited} tokens{unlimited}"));
    lines.push(format!(
        "longest   {} tokens with its answer; {} of {context} tokens",
        text::count(survey.longest),
        text::plural(slots.into(), "slot"),
    ));
    if let Some(pace) = pace {
        let clock = |seconds: f64| progress::clock(Duration::from_secs_f64(seconds.min(1e9)));
        let (reading, writing) = pace.seconds(survey);
        lines.push(format!("time      prompts: {}, less where they share a prefix", clock(reading)));
        lines.push(match (survey.limited_tokens, survey.unlimited) {
            (0, 1..) => "          answers: unknown length (set `-n` for an estimate)".to_owned(),
            (_, 0) => format!("          answers: up to {}", clock(writing)),
            (_, n) => format!(
                "          answers: up to {}, and {} of unknown length (set `-n` for an estimate)",
                clock(writing),
                text::plural(n, "answer")
            ),
        });
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
    json!({
        "schema_version": 1, "rows": survey.rows, "causes": progress::causes_object(&survey.causes), "first_failures": failures,
        "unknown_fields": ignored(survey, true), "unsupported_fields": ignored(survey, false),
        "prompt_tokens": survey.prompt_tokens,
        "limited_completion_tokens": survey.limited_tokens, "answers_without_limit": survey.unlimited,
        "longest_tokens": survey.longest, "slots": slots, "context": context,
        "seconds": time.map(|(prompts, answers)| json!({ "prompts": prompts, "answers": answers })),
        "tokens_per_second": pace.map(|pace| json!({ "read": pace.reading, "written": pace.writing })),
    })
}
