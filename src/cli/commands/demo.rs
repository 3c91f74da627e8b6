//! `ggrun demo`: converts the bundled checkpoint, verifies it, and generates answers, in a temporary folder.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use ggrun::chat::{Message, Role};
use ggrun::model::LoadOptions;
use ggrun::session::{ChatEvent, GenerationOptions, Limit, SamplingOptions};
use gguf_export::checkpoint::Checkpoint;
use gguf_export::verify::{VerifyOptions, verify};
use gguf_export::{ExportOptions, PlanOptions, export, survey};
use serde_json::json;

use crate::cli::error::Interrupted;
use crate::cli::exit::Outcome;
use crate::cli::interrupt::Interrupt;
use crate::cli::options::common::cores;
use crate::cli::shared::answer::answer;
use crate::cli::shared::summary::summary;
use crate::cli::shared::{conversion, open};
use crate::cli::ui::out::{print, stdout};
use crate::cli::ui::stream::Stream as _;
use crate::cli::ui::style::Style;
use crate::cli::ui::text;

/// Converts, verifies and runs the bundled checkpoint
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ggrun demo
  ggrun demo --checkpoint ./another-tiny-model --json")]
pub(crate) struct Demo {
    /// Use this checkpoint instead of the bundled one
    #[arg(long, value_name = "DIR")]
    pub(crate) checkpoint: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// One question of each kind that the bundled model was trained on.
const QUESTIONS: [&str; 3] = ["What is 17 + 25?", "What is the capital of Kenya?", "Spell cloud backwards."];
/// Enough for the longest answer.
const MAX_TOKENS: u32 = 200;

pub(crate) fn run(args: &Demo) -> anyhow::Result<Outcome> {
    let interrupt = Interrupt::listen();
    let threads = cores();
    let source = args.checkpoint.clone().map_or_else(bundled, Ok)?;
    let dir = tempfile::tempdir().context("cannot create a temporary folder")?;
    let gguf = dir.path().join("demo.gguf");
    let say = |line: &str| if args.json { Ok(()) } else { print(&format!("{line}\n")) };

    say(&format!("Converting {}", source.display()))?;
    let checkpoint = Checkpoint::open(&source)?;
    let plan = survey(&checkpoint, &PlanOptions::default(), threads, interrupt.flag(), &|_| {})?;
    let options = ExportOptions { threads, ..ExportOptions::default() };
    export(&checkpoint, &plan, &gguf, &options, interrupt.flag(), &|_| {})?;
    say(&format!("  {}", conversion::summary(&plan)))?;
    for line in conversion::by_type(&plan).lines() {
        say(&format!("  {line}"))?;
    }
    say(&format!("  {} in total", text::bytes(plan.bytes())))?;

    say("\nVerifying it against the checkpoint")?;
    let options = VerifyOptions { threads, ..VerifyOptions::default() };
    let report = verify(&checkpoint, &gguf, options, interrupt.flag(), &|_| {})?;
    say(&format!("  {}", conversion::sentence(&report)))?;
    ensure!(report.equal(), "the GGUF differs from the checkpoint");

    say("\nAsking it three questions")?;
    let opened = open::open(LoadOptions::new(&gguf), None, &interrupt)?;
    let style = Style::of_stdout();
    let mut answers = Vec::new();
    for question in QUESTIONS {
        say(&format!("\n> {question}"))?;
        let options = GenerationOptions {
            sampling: SamplingOptions { temperature: Some(0.0), ..SamplingOptions::default() },
            max_tokens: Some(Limit::Tokens(MAX_TOKENS)),
            ..GenerationOptions::default()
        };
        let options = options.over(&GenerationOptions::recommended(&opened.model.sampling(0)));
        let request = options.chat_request(vec![Message::new(Role::User, question)], 0);
        let mut thinking = false;
        let reply = answer(opened.session.chat(request)?, &interrupt, |event| {
            if args.json {
                return Ok(());
            }
            let mut out = stdout();
            match event {
                ChatEvent::Reasoning(text) => {
                    thinking = true;
                    out.dimmed(style, text)?;
                }
                ChatEvent::Content(text) => {
                    let gap = if std::mem::take(&mut thinking) { "\n" } else { "" };
                    write!(out, "{gap}{text}")?;
                }
                // The demo has no tools.
                ChatEvent::Progress { .. }
                | ChatEvent::ToolCall(_)
                | ChatEvent::Finished { .. }
                | ChatEvent::Failed(_) => {}
            }
            Ok(out.flush()?)
        })?;
        if interrupt.is_raised() {
            return Err(Interrupted.into());
        }
        if !args.json {
            stdout().dimmed(style, &format!("\n{}\n", summary(&reply)))?;
        }
        answers.push(
            json!({ "question": question, "reasoning_content": reply.reasoning, "content": reply.content }),
        );
    }
    if args.json {
        let out = json!({
            "schema_version": 1, "tensors": report.tensors, "values": report.values, "equal": report.equal(),
            "answers": answers,
        });
        print(&format!("{out:#}\n"))?;
    } else {
        // After `make demo` it is not on the path.
        let ggrun = std::env::args().next().unwrap_or_else(|| "ggrun".to_owned());
        let source = source.display();
        say(&format!(
            "\nNext:\n  {ggrun} convert {source} -o tiny.gguf\n  {ggrun} verify tiny.gguf {source}\n  {ggrun} run -m tiny.gguf -p \"What is 842 - 83?\"\nFor your own checkpoint: {ggrun} convert FOLDER"
        ))?;
    }
    Ok(Outcome::Success)
}

/// The bundled checkpoint: in the source tree, or in the current folder.
fn bundled() -> anyhow::Result<PathBuf> {
    let places =
        [Path::new(env!("CARGO_MANIFEST_DIR")), Path::new(".")].map(|p| p.join("tests/data/tiny-thinker"));
    places
        .into_iter()
        .find(|p| p.join("config.json").exists())
        .context("the bundled checkpoint is missing; run this in a clone of ggrun, or pass `--checkpoint`")
}
