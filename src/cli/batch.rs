//! `ggrun batch`: JSON lines in, JSON lines out. What is said of it goes to standard error.

mod dry;
mod progress;
mod slots;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::ValueEnum;
use ggrun::batch::{self, Journal, Options, Order, Report, Stop, Survey, Targets};
use ggrun::engine::SamplingParams;
use ggrun::model::{Model, caps, weights_digest};
use ggrun::openai::Defaults;
use ggrun::session::ChatRequest;
use serde_json::json;

use super::interrupt::{Interrupt, Interrupted};
use super::model::ModelArgs;
use super::open::{self, Opened};
use super::placement::{PlacementArgs, list_devices};
use super::run::template::TemplateArgs;
use super::sampling::Sampling;
use super::{Outcome, text};
use progress::Show;

/// Answers every row of a JSONL file
///
/// Rows are requests in the form of OpenAI's batches, or bare objects with `messages` or `prompt`; answers have the form
/// of OpenAI's too. Every answer is on the disk before the next counts, and the same command goes on where it stopped:
/// rows are known by their id and a hash of their request. A row that is wrong fails alone.
#[derive(Debug, Clone, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
#[command(after_help = "\
Examples:
  ggrun batch -m model.gguf questions.jsonl -o answers.jsonl
  ggrun batch -m model.gguf questions.jsonl --dry-run          what is wrong, how many tokens, how long
  ggrun batch -m model.gguf big.jsonl.zst -o answers.jsonl --errors failed.jsonl --order input -np 8
  jq -c '{messages: [{role: \"user\", content: .question}]}' data.json | ggrun batch -m model.gguf - -o answers.jsonl

Exits with 5 if rows failed. Ctrl-C finishes the rows at work, a second one stops at once; both can be gone on from.")]
pub(crate) struct BatchArgs {
    /// The rows: a file, packed if it ends in .gz or .zst, or - for standard input
    #[arg(value_name = "IN.jsonl", required_unless_present = "list_devices")]
    input: Option<PathBuf>,
    /// Where answers are appended; - is standard output, which is not gone on from
    #[arg(short, long, value_name = "OUT.jsonl", required_unless_present_any = ["dry_run", "list_devices"])]
    output: Option<PathBuf>,
    #[command(flatten)]
    model: ModelArgs,
    /// Another file for the rows that failed
    #[arg(long, value_name = "FILE")]
    errors: Option<PathBuf>,
    /// In which order answers are written
    #[arg(long, value_enum, default_value_t = OrderArg::Completion)]
    order: OrderArg,
    /// How often a row is asked again when the engine failed
    #[arg(long, value_name = "N", default_value_t = 2)]
    retry: u32,
    /// Asks rows again that an earlier run refused
    #[arg(long)]
    retry_failed: bool,
    /// Goes on with another model, and keeps the answers of the first
    #[arg(long)]
    allow_model_change: bool,
    /// Refuses rows with fields that nobody knows, instead of one warning
    #[arg(long)]
    strict: bool,
    /// Answers one row at a time and reuses nothing: the same seed gives the same text whatever the other rows are
    #[arg(long, conflicts_with = "parallel")]
    deterministic: bool,
    /// Looks at every row, counts tokens and estimates the time; answers none
    #[arg(long)]
    dry_run: bool,
    /// How progress is shown on standard error
    #[arg(long, value_enum, default_value_t = progress::Kind::Auto)]
    progress: progress::Kind,
    /// Prints one JSON object at the end
    #[arg(long)]
    json: bool,
    /// Ends an answer after this many tokens, thinking included, where a row does not say; -1 leaves it to the model
    #[arg(short = 'n', long, value_name = "N", default_value_t = -1, allow_negative_numbers = true,
        visible_alias = "n-predict", alias = "max-tokens", env = "LLAMA_ARG_N_PREDICT")]
    predict: i64,
    #[command(flatten)]
    template: TemplateArgs,
    /// Tokens the model may think before it is made to answer; 0 is none, -1 as many as it likes
    #[arg(long, value_name = "N", default_value_t = -1, allow_negative_numbers = true,
        env = "LLAMA_ARG_THINK_BUDGET", value_parser = clap::value_parser!(i64).range(-1..=i64::from(u32::MAX)))]
    reasoning_budget: i64,
    /// What it is made to think last then
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    reasoning_budget_message: Option<String>,
    /// A text that ends an answer and is not part of it; may be given more than once
    #[arg(short, long, value_name = "TEXT", allow_hyphen_values = true, visible_alias = "stop")]
    reverse_prompt: Vec<String>,
    #[command(flatten)]
    sampling: Sampling,
    #[command(flatten)]
    pub(crate) placement: PlacementArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OrderArg {
    /// As they finish
    Completion,
    /// As the rows stand in the input
    Input,
}

impl From<OrderArg> for Order {
    fn from(order: OrderArg) -> Self {
        match order {
            OrderArg::Completion => Self::Completion,
            OrderArg::Input => Self::Input,
        }
    }
}

/// Rows whose fields are looked at before there is a model have no advice on sampling; none of it matters then.
const UNADVISED: u32 = 0;

pub(crate) fn run(args: &BatchArgs) -> anyhow::Result<Outcome> {
    let (Some(input), false) = (&args.input, args.placement.list_devices) else {
        super::print(&list_devices(&args.placement)?)?;
        return Ok(Outcome::Success);
    };
    let interrupt = Interrupt::listen();
    let path = &args.model.file(args.progress.of_download())?;
    if args.dry_run {
        return dry::run(args, input, path, &interrupt);
    }
    let output = args.output.clone().unwrap_or_default();
    let on_stdout = output.as_os_str() == "-";
    anyhow::ensure!(!(args.json && on_stdout), "`--json` and `-o -` would both write to standard output");
    let model_id = format!("{:016x}", u64::from_be_bytes(weights_digest(path)?.as_chunks::<8>().0[0]));
    let targets = Targets { out: output.clone(), errors: args.errors.clone(), order: args.order.into() };
    let mut journal = Journal::open(&targets, input, &model_id, args.allow_model_change)?;
    let survey = first_look(args, input, &interrupt)?;
    let chosen = slots::choose(args, path, survey.as_ref())?;
    let slots = chosen.parallel;
    let Opened { session, model, .. } = &open::open(chosen, &interrupt)?;
    let options = Options {
        defaults: defaults(args, model, session.template())?,
        seed: args.sampling.seed(),
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
        show.say(&format!("going on after {}", text::plural(journal.rows_before() as u64, "row")));
    }
    let begun = Instant::now();
    let source = batch::open(input)?;
    let stop = || match (interrupt.is_raised(), interrupt.is_final()) {
        (false, _) => Stop::No,
        (true, false) => Stop::Drain,
        (true, true) => Stop::Now,
    };
    let mut told = false;
    let report = batch::run(session, source, input, &mut journal, &options, &stop, &mut |progress| {
        for name in progress.unknown.drain(..) {
            show.say(&format!("warning: nobody knows the field `{name}`, it changes nothing"));
        }
        if interrupt.is_raised() && !std::mem::replace(&mut told, true) && progress.running > 0 {
            let rows = text::plural(progress.running, "row");
            show.say(&format!("finishing {rows} at work; Ctrl-C again stops at once"));
        }
        show.observe(progress, begun.elapsed());
    });
    show.end();
    let report = report?;
    finish(args, &report, &show, begun.elapsed())?;
    if !report.complete {
        if !journal.is_stream() {
            show.say(&format!("the same command goes on from `{}`", output.display()));
        }
        return Err(Interrupted.into());
    }
    let failed = report.progress.failed + report.progress.failed_before;
    Ok(if failed > 0 { Outcome::RowsFailed } else { Outcome::Success })
}

/// Counts rows and guesses their lengths, where the input can be read twice.
fn first_look(args: &BatchArgs, input: &Path, interrupt: &Interrupt) -> anyhow::Result<Option<Survey>> {
    let is_file = std::fs::metadata(input).is_ok_and(|found| found.is_file());
    if !is_file {
        return Ok(None);
    }
    let mut defaults = Defaults::new(SamplingParams::neutral(UNADVISED));
    defaults.max_tokens = u32::try_from(args.predict).ok();
    let survey = batch::survey(batch::open(input)?, input, &defaults, &|| !interrupt.is_raised())?;
    if interrupt.is_raised() { Err(Interrupted.into()) } else { Ok(Some(survey)) }
}

/// What rows are answered with where they say nothing.
fn defaults(args: &BatchArgs, model: &Model, template: &ggrun::chat::Template) -> anyhow::Result<Defaults> {
    let sampling = args.sampling.over(model.sampling(0))?;
    let mut request = ChatRequest::new(Vec::new(), sampling);
    args.template.apply(template, &mut request)?;
    let mut defaults = Defaults::new(request.sampling);
    defaults.max_tokens = u32::try_from(args.predict).ok();
    defaults.stop.clone_from(&args.reverse_prompt);
    defaults.tools = args.template.read_tools()?;
    defaults.variables = request.variables;
    defaults.reasoning_budget = u32::try_from(args.reasoning_budget).ok();
    if let Some(words) = &args.reasoning_budget_message {
        defaults.reasoning_budget_message.clone_from(words);
    }
    Ok(defaults)
}

/// Says how it went.
fn finish(args: &BatchArgs, report: &Report, show: &Show, elapsed: Duration) -> anyhow::Result<()> {
    let progress = &report.progress;
    let rate = progress::rate(progress.written_tokens, elapsed);
    let causes: Vec<String> =
        report.causes.iter().map(|(cause, n)| format!("{} {}", text::count(*n), cause.code())).collect();
    let mut parts = vec![format!("{} answered", text::plural(progress.done, "row"))];
    if progress.done_before > 0 {
        parts.push(format!("{} before", text::count(progress.done_before)));
    }
    if progress.changed > 0 {
        parts.push(format!("{} of them changed since", text::count(progress.changed)));
    }
    if progress.failed > 0 {
        parts.push(format!("{} failed ({})", text::count(progress.failed), causes.join(", ")));
    }
    if progress.failed_before > 0 {
        parts.push(format!("{} failed before", text::count(progress.failed_before)));
    }
    show.say(&parts.join(", "));
    show.say(&format!(
        "{} written in {}, {rate:.1} t/s",
        text::plural(progress.completion_tokens, "token"),
        progress::clock(elapsed)
    ));
    if args.json {
        let causes: serde_json::Map<_, _> =
            report.causes.iter().map(|(cause, n)| (cause.code().to_owned(), json!(n))).collect();
        let object = json!({
            "schema_version": 1, "complete": report.complete, "rows_done": progress.done,
            "rows_done_before": progress.done_before, "rows_changed": progress.changed,
            "rows_failed": progress.failed, "rows_failed_before": progress.failed_before, "causes": causes,
            "prompt_tokens": progress.prompt_tokens, "completion_tokens": progress.completion_tokens,
            "seconds": elapsed.as_secs_f64(), "tokens_per_second": rate,
        });
        super::print(&format!("{object:#}\n")).context("cannot print the result")?;
    }
    Ok(())
}
