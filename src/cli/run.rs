//! `ggrun run`: one question, one answer. The answer alone is on stdout; thinking and timings are on stderr.

mod json;
pub(crate) mod screen;
pub(crate) mod template;

use std::fs;
use std::io::{self, IsTerminal, Read as _, Write};
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::ValueEnum;
use ggrun::chat::{Message, Role, ToolCall};
use ggrun::engine::{FinishReason, SamplingParams, Timings};
use ggrun::model::{ContextSize, LoadOptions, Model};
use ggrun::session::{Chat, ChatEvent, ChatRequest, ChatUsage, Session};

use super::interrupt::{Interrupt, Interrupted};
use super::open::{self, Opened};
use super::report::is_broken_pipe;
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
  echo \"What is the capital of Kenya?\" | ggrun run -m model.gguf --json
  ggrun run -m model.gguf -p \"Weather in Oslo?\" --tools tools.json --json | jq .tool_calls")]
pub(crate) struct RunArgs {
    /// The GGUF file, or the first of its parts.
    #[arg(short, long, value_name = "FILE", env = "LLAMA_ARG_MODEL")]
    pub(crate) model: PathBuf,
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
    /// Tokens the context holds; 0 takes what the model was trained on [default: that, up to 8192].
    #[arg(short, long, value_name = "N", env = "LLAMA_ARG_CTX_SIZE")]
    pub(crate) ctx_size: Option<u32>,
    /// Threads that compute [default: physical cores].
    #[arg(short, long, value_name = "N", env = "LLAMA_ARG_THREADS")]
    pub(crate) threads: Option<u32>,
    /// Temperature; 0 takes the likeliest token [default: what the file advises].
    #[arg(long, value_name = "X", alias = "temperature", allow_negative_numbers = true)]
    pub(crate) temp: Option<f32>,
    /// Choose among this many of the likeliest tokens; 0 is all.
    #[arg(long, value_name = "N", env = "LLAMA_ARG_TOP_K")]
    pub(crate) top_k: Option<u32>,
    /// Choose among the likeliest tokens up to this probability; 1 is all.
    #[arg(long, value_name = "X")]
    pub(crate) top_p: Option<f32>,
    /// Leave out tokens less likely than this share of the likeliest; 0 is none.
    #[arg(long, value_name = "X")]
    pub(crate) min_p: Option<f32>,
    /// Start of the random numbers; -1 chooses one.
    #[arg(short, long, value_name = "N", default_value_t = -1, allow_negative_numbers = true,
        value_parser = clap::value_parser!(i64).range(-1..=i64::from(u32::MAX)))]
    pub(crate) seed: i64,
    #[command(flatten)]
    pub(crate) template: TemplateArgs,
    /// What becomes of the model's thinking, on stderr.
    #[arg(long, value_enum, default_value_t = Thinking::Dim)]
    pub(crate) thinking: Thinking,
    /// Print one JSON object when the answer is over.
    #[arg(long)]
    pub(crate) json: bool,
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
    let (prompt, tools) = (prompt(args)?, args.template.read_tools()?);
    let interrupt = Interrupt::listen();
    let Opened { session, model, .. } = &open::open(load_options(args), &interrupt)?;
    let sampling = sampling(args, model);
    let mut request = ChatRequest::new(messages(args, &prompt), sampling);
    request.max_tokens = u32::try_from(args.predict).ok();
    request.tools = tools;
    args.template.apply(session.template(), &mut request)?;
    let mut screen = Screen::new(out, err, args, Style::of_stderr());
    let answer = answer(session, request, &interrupt, &mut |piece| screen.piece(piece))?;
    screen.finish(&prompt, &answer, sampling.seed)?;
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

fn load_options(args: &RunArgs) -> LoadOptions {
    let mut options = LoadOptions::new(&args.model);
    options.context = match args.ctx_size {
        None => options.context,
        Some(0) => ContextSize::Trained,
        Some(tokens) => ContextSize::Tokens(tokens),
    };
    options.threads = args.threads.filter(|n| *n > 0).unwrap_or(options.threads);
    options
}

fn sampling(args: &RunArgs, model: &Model) -> SamplingParams {
    let advised = model.sampling(u32::try_from(args.seed).unwrap_or_else(|_| chance()));
    SamplingParams {
        temperature: args.temp.unwrap_or(advised.temperature),
        top_k: args.top_k.unwrap_or(advised.top_k),
        top_p: args.top_p.unwrap_or(advised.top_p),
        min_p: args.min_p.unwrap_or(advised.min_p),
        seed: advised.seed,
    }
}

/// A number nobody chose: the keys of a hash map are random for every process.
fn chance() -> u32 {
    use std::hash::{BuildHasher, RandomState};
    let number = RandomState::new().hash_one(std::process::id());
    u32::try_from(number >> 32).unwrap_or(0)
}

#[cfg(test)]
mod tests;
