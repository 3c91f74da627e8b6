//! `ggrun batch --dry-run`: what is wrong with the rows, their tokens, and how long they may take.

use std::path::Path;
use std::time::Duration;

use ggrun::batch::{self, Judge, Survey};
use ggrun::engine::channel;
use ggrun::model::{Bandwidth, Speed};
use serde_json::json;

use super::super::interrupt::{Interrupt, Interrupted};
use super::super::{Outcome, open, text};
use super::{BatchArgs, defaults, first_look, progress, slots};

/// How long memory is read to know its bandwidth.
const MEASURE: Duration = Duration::from_millis(300);

pub(super) fn run(
    args: &BatchArgs,
    input: &Path,
    model: &Path,
    interrupt: &Interrupt,
) -> anyhow::Result<Outcome> {
    let look = first_look(args, input, interrupt)?;
    let options = slots::choose(args, model, look.as_ref())?;
    let (slots, threads) = (options.parallel, options.threads);
    let model = open::load(options, interrupt)?;
    // Nobody answers: the rows are only looked at.
    let (submitter, _inbox) = channel();
    let session = open::session(&model, submitter)?;
    let defaults = defaults(args, &model, session.template())?;
    let context = model.placement().context;
    let check = |params: &_| model.check_sampling(params);
    let judge = Judge { session: &session, context, check: &check, strict: args.strict };
    let survey = batch::dry_run(batch::open(input)?, input, &defaults, &judge, &|| !interrupt.is_raised())?;
    if interrupt.is_raised() {
        return Err(Interrupted.into());
    }
    let speed = model.placement().speed(Bandwidth::measure(threads, MEASURE));
    super::super::print(&if args.json {
        format!("{:#}\n", object(&survey, slots, context, speed))
    } else {
        show(&survey, slots, context, speed)
    })?;
    Ok(if survey.causes.is_empty() { Outcome::Success } else { Outcome::RowsFailed })
}

/// Seconds to write so many tokens, at best and at worst.
#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn seconds(tokens: u64, speed: Speed) -> (f64, f64) {
    (tokens as f64 / speed.most, tokens as f64 / speed.least)
}

fn show(survey: &Survey, slots: u32, context: u32, speed: Option<Speed>) -> String {
    let mut lines = vec![format!("rows      {}", text::count(survey.rows))];
    if !survey.causes.is_empty() {
        let failed: u64 = survey.causes.values().sum();
        let causes: Vec<String> =
            survey.causes.iter().map(|(cause, n)| format!("{} {}", text::count(*n), cause.code())).collect();
        lines.push(format!("failed    {}: {}", text::count(failed), causes.join(", ")));
        for (line, id, failure) in &survey.failures {
            lines.push(format!("          line {line}, `{id}`: {}", failure.message));
        }
    }
    if !survey.unknown.is_empty() {
        lines.push(format!("unknown   fields that change nothing: {}", survey.unknown.join(", ")));
    }
    lines.push(format!("prompts   {} tokens", text::count(survey.prompt_tokens)));
    let limited = text::count(survey.limited_tokens);
    let unlimited = match survey.unlimited {
        0 => String::new(),
        n => format!(", and {} without a limit", text::plural(n, "answer")),
    };
    lines.push(format!("answers   at most {limited} tokens{unlimited}"));
    lines.push(format!(
        "longest   {} tokens with its answer; {} of {context}",
        text::count(survey.longest),
        text::plural(slots.into(), "slot"),
    ));
    if let Some(speed) = speed.filter(|_| survey.limited_tokens > 0) {
        let (least, most) = seconds(survey.limited_tokens, speed);
        let clock = |seconds: f64| progress::clock(Duration::from_secs_f64(seconds.min(1e9)));
        lines.push(format!(
            "time      {} to {} to write that one row at a time, from the speed of memory ({:.1} to {:.1} t/s); reading \
             prompts comes on top, several slots share the work",
            clock(least),
            clock(most),
            speed.least,
            speed.most
        ));
    }
    lines.join("\n") + "\n"
}

fn object(survey: &Survey, slots: u32, context: u32, speed: Option<Speed>) -> serde_json::Value {
    let causes: serde_json::Map<_, _> =
        survey.causes.iter().map(|(cause, n)| (cause.code().to_owned(), json!(n))).collect();
    let failures: Vec<_> = survey
        .failures
        .iter()
        .map(|(line, id, failure)| {
            json!({ "line": line, "custom_id": id, "code": failure.cause.code(), "message": failure.message })
        })
        .collect();
    let time = speed.map(|speed| seconds(survey.limited_tokens, speed));
    json!({
        "schema_version": 1, "rows": survey.rows, "causes": causes, "first_failures": failures,
        "unknown_fields": survey.unknown, "prompt_tokens": survey.prompt_tokens,
        "limited_completion_tokens": survey.limited_tokens, "answers_without_limit": survey.unlimited,
        "longest_tokens": survey.longest, "slots": slots, "context": context,
        "seconds": time.map(|(least, most)| json!({ "least": least, "most": most, "from": "memory bandwidth" })),
        "tokens_per_second": speed.map(|Speed { least, most }| json!({ "least": least, "most": most })),
    })
}
