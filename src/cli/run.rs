//! `ggrun run`: one question, one answer. The answer alone is on stdout; thinking and timings are on stderr.

pub(crate) mod json;
pub(crate) mod screen;
pub(crate) mod template;

use std::fs;
use std::io::{self, IsTerminal, Read as _, Write};
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context as _, bail};
use clap::ValueEnum;
use ggrun::chat::{Message, Role, ToolCall};
use ggrun::engine::{FinishReason, SamplingParams, Timings};
use ggrun::session::{Chat, ChatEvent, ChatRequest, ChatUsage, Session};

use super::args::When;
use super::interrupt::{Interrupt, Interrupted};
use super::model::ModelArgs;
use super::open::{self, Opened};
use super::placement::{PlacementArgs, list_devices};
use super::report::is_broken_pipe;
use super::sampling::Sampling;
use super::style::Style;
use screen::Screen;
use template::TemplateArgs;

/// Answers one question
///
/// The answer alone goes to standard output, calls of functions one a line; thinking and timings go to standard error.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "\
Examples:
  ggrun run -m model.gguf -p \"What is 17 + 25?\" --temp 0
  ggrun run -m model.gguf -f question.txt --thinking hide > answer.txt
  ggrun run -hf ORG/NAME-GGUF:Q4_0 -p \"Hello\"      a GGUF of the hub, fetched once
  echo \"What is the capital of Kenya?\" | ggrun run -m model.gguf --json
  ggrun run -m model.gguf -p \"Weather in Oslo?\" --tools tools.json --json | jq .tool_calls")]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    /// The question; without it and -f it is read from stdin.
    #[arg(short, long, value_name = "TEXT", allow_hyphen_values = true, conflicts_with = "file")]
    pub(crate) prompt: Option<String>,
    /// Read the question from a file.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Instructions for the model (also -sys).
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(crate) system_prompt: Option<String>,
    /// End after this many tokens, thinking included; -1 leaves it to the model.
    #[arg(short = 'n', long, value_name = "N", default_value_t = -1, allow_negative_numbers = true,
        visible_alias = "n-predict", alias = "max-tokens", env = "LLAMA_ARG_N_PREDICT")]
    pub(crate) predict: i64,
    #[command(flatten)]
    pub(crate) template: TemplateArgs,
    /// What becomes of the model's thinking, on stderr.
    #[arg(long, value_enum, default_value_t = Thinking::Dim)]
    pub(crate) thinking: Thinking,
    /// Tokens the model may think before it is made to answer; 0 is none, -1 as many as it likes.
    #[arg(long, value_name = "N", default_value_t = -1, allow_negative_numbers = true,
        env = "LLAMA_ARG_THINK_BUDGET", value_parser = clap::value_parser!(i64).range(-1..=i64::from(u32::MAX)))]
    pub(crate) reasoning_budget: i64,
    /// What it is made to think last then.
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(crate) reasoning_budget_message: Option<String>,
    /// A text that ends the answer and is not part of it; may be given more than once.
    #[arg(short, long, value_name = "TEXT", allow_hyphen_values = true, visible_alias = "stop")]
    pub(crate) reverse_prompt: Vec<String>,
    /// Print one JSON object when the answer is over.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) sampling: Sampling,
    #[command(flatten)]
    pub(crate) placement: PlacementArgs,
}

/// What becomes of the model's thinking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Thinking {
    /// Written like any text.
    Show,
    /// Written dim where the terminal can.
    Dim,
    /// Not written.
    Hide,
}

/// A piece of an answer, as it comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// More of what the model thinks.
    Reasoning(&'a str),
    /// More of what it says.
    Content(&'a str),
    /// A function it calls.
    ToolCall(&'a ToolCall),
}

/// A whole answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    /// What the model thought.
    pub(crate) reasoning: String,
    /// What it says.
    pub(crate) content: String,
    /// The functions it calls.
    pub(crate) tool_calls: Vec<ToolCall>,
    /// Why it ended.
    pub(crate) reason: FinishReason,
    /// What it took.
    pub(crate) usage: ChatUsage,
    /// How long it took.
    pub(crate) timings: Timings,
}

/// Asks a session and waits for the answer; `on` gets every piece as it comes and ends the answer by failing.
///
/// # Errors
///
/// When the question cannot be asked, the engine fails, or `on` does. An answer that was interrupted is no
/// error: its reason is [`FinishReason::Cancelled`].
pub(crate) fn answer(
    session: &Session,
    request: ChatRequest,
    interrupt: &Interrupt,
    on: &mut dyn FnMut(Piece<'_>) -> io::Result<()>,
) -> anyhow::Result<Answer> {
    let chat: Chat = session.chat(request)?;
    interrupt.aim(chat.canceller());
    let (mut reasoning, mut content, mut tool_calls) = (String::new(), String::new(), Vec::new());
    for event in chat {
        match event {
            ChatEvent::Reasoning(text) => {
                on(Piece::Reasoning(&text))?;
                reasoning += &text;
            }
            ChatEvent::Content(text) => {
                on(Piece::Content(&text))?;
                content += &text;
            }
            ChatEvent::ToolCall(call) => {
                on(Piece::ToolCall(&call))?;
                tool_calls.push(call);
            }
            ChatEvent::Finished { reason, usage, timings } => {
                return Ok(Answer { reasoning, content, tool_calls, reason, usage, timings });
            }
            ChatEvent::Failed(error) => return Err(error.into()),
        }
    }
    bail!("the answer has no end")
}

/// Answers the question of the command line.
///
/// # Errors
///
/// When there is no question, the model cannot be loaded, or the engine fails; [`Interrupted`] when the user
/// stopped it. A closed pipe is no error.
pub(crate) fn run(args: &RunArgs, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<()> {
    match ask(args, out, err) {
        Err(error) if is_broken_pipe(&error) => Ok(()),
        result => result,
    }
}

fn ask(args: &RunArgs, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<()> {
    if args.placement.list_devices {
        out.write_all(list_devices(&args.placement)?.as_bytes())?;
        return Ok(());
    }
    let (prompt, tools) = (prompt(args)?, args.template.read_tools()?);
    let interrupt = Interrupt::listen();
    let path = args.model.file(When::Auto)?;
    let begun = Instant::now();
    let Opened { session, model, .. } = &open::open(args.placement.options(&path), &interrupt)?;
    if !args.json {
        let style = Style::of_stderr();
        let loaded =
            format!("loaded in {:.2} s: {}", begun.elapsed().as_secs_f64(), model.placement().reason);
        // That nobody can read it there is no reason to end.
        drop(writeln!(err, "{}{loaded}{}", style.dim(), style.reset()));
    }
    let sampling = args.sampling.params(model)?;
    let seed = sampling.seed;
    let mut request = request(args, &prompt, sampling);
    request.tools = tools;
    args.template.apply(session.template(), &mut request)?;
    let mut screen = Screen::new(out, err, args, Style::of_stderr());
    let answer = answer(session, request, &interrupt, &mut |piece| screen.piece(piece))?;
    screen.finish(&prompt, &answer, seed)?;
    if answer.reason == FinishReason::Cancelled && interrupt.is_raised() {
        return Err(Interrupted.into());
    }
    Ok(())
}

fn prompt(args: &RunArgs) -> anyhow::Result<String> {
    let mut text = match (&args.prompt, &args.file) {
        (Some(prompt), _) => return Ok(prompt.clone()),
        (None, Some(file)) => fs::read_to_string(file)
            .with_context(|| format!("cannot read the question from `{}`", file.display()))?,
        (None, None) if io::stdin().is_terminal() => bail!("no question: give one with -p, -f or on stdin"),
        (None, None) => {
            let mut text = String::new();
            io::stdin().read_to_string(&mut text).context("cannot read the question from stdin")?;
            text
        }
    };
    // The newline that ends the last line of a file is not part of the question.
    if text.ends_with('\n') {
        text.pop();
    }
    if text.trim().is_empty() {
        bail!("no question: the input is empty");
    }
    Ok(text)
}

fn messages(args: &RunArgs, prompt: &str) -> Vec<Message> {
    let system = args.system_prompt.iter().map(|text| Message::new(Role::System, text));
    system.chain([Message::new(Role::User, prompt)]).collect()
}

fn request(args: &RunArgs, prompt: &str, sampling: SamplingParams) -> ChatRequest {
    let mut request = ChatRequest::new(messages(args, prompt), sampling);
    request.max_tokens = u32::try_from(args.predict).ok();
    request.stop.clone_from(&args.reverse_prompt);
    request.reasoning_budget = u32::try_from(args.reasoning_budget).ok();
    if let Some(words) = &args.reasoning_budget_message {
        request.reasoning_budget_message.clone_from(words);
    }
    request
}

#[cfg(test)]
mod tests;
