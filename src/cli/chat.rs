//! `ggrun chat`: a conversation at the terminal or through a pipe.

mod command;
mod input;
mod saving;
mod settings;
mod show;
mod store;
mod talk;
mod tools;

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Parser, ValueEnum as _};
use ggrun::chat::ToolCall;
use ggrun::engine::{FinishReason, SamplingParams};
use ggrun::session::ChatRequest;

use super::args::When;
use super::interrupt::{Interrupt, Interrupted};
use super::model::ModelArgs;
use super::open::{self, Opened};
use super::placement::{PlacementArgs, list_devices};
use super::report::is_broken_pipe;
use super::run::screen::summary;
use super::run::template::TemplateArgs;
use super::run::{Answer, answer, json};
use command::{Command, Entry, HELP};
use input::{Input, PROMPT, Source};
use saving::{begin, session_path};
use settings::{SetLine, Settings};
use show::{Show, Thinking};
use store::Store;
use talk::Talk;

/// Talks with a model
///
/// Answers go to standard output; thinking and everything else go to standard error. /help lists the commands.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "\
Examples:
  ggrun chat -m model.gguf
  ggrun chat -hf ORG/NAME-GGUF:Q4_0                  a GGUF of the hub, fetched once
  ggrun chat -m model.gguf --session work            goes on where that conversation was left
  printf 'What is 17 + 25?\\nAnd 42 - 25?\\n' | ggrun chat -m model.gguf --thinking hide")]
pub(crate) struct ChatArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// Instructions for the model (also -sys).
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    system_prompt: Option<String>,
    /// A conversation to go on with; it is kept under this name after every answer.
    #[arg(long, value_name = "NAME")]
    session: Option<String>,
    /// Keep only the text of conversations, and not the model's state, with which a long one goes on at once.
    #[arg(long)]
    no_state: bool,
    #[command(flatten)]
    template: TemplateArgs,
    /// What becomes of the model's thinking.
    #[arg(long, value_enum, default_value_t = Thinking::Dim)]
    thinking: Thinking,
    /// Print each answer as one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    placement: PlacementArgs,
}

/// Talks until the user leaves.
///
/// # Errors
///
/// When the model cannot be loaded, or standard output cannot be written to; [`Interrupted`] when the user left
/// with Ctrl-C. A closed pipe is no error.
pub(crate) fn run(args: &ChatArgs, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<()> {
    if args.placement.list_devices {
        out.write_all(list_devices(&args.placement)?.as_bytes())?;
        return Ok(());
    }
    let store = Store::of_user();
    let talk = begin(args, store.as_ref())?;
    let tools = args.template.read_tools()?;
    // The line editor takes SIGINT for itself; who listens after it hears it too.
    let source = Source::open(store.as_ref())?;
    let interrupt = Interrupt::listen();
    let model = args.model.file(When::Auto)?;
    let opened = open::open(args.placement.options(&model), &interrupt)?;
    let mut told = ChatRequest::new(Vec::new(), SamplingParams::greedy());
    args.template.apply(opened.session.template(), &mut told)?;
    let variables = told.variables;
    let mut chat = Chat {
        args,
        model,
        opened,
        interrupt,
        source,
        store,
        talk,
        line: SetLine { settings: args.settings.clone() },
        typed: Vec::new(),
        tools,
        variables,
        thinking: args.thinking,
        unsaved: false,
        last: None,
        struck: false,
        out,
        err,
    };
    if chat.source.is_terminal() {
        chat.greet();
    }
    if let Some(name) = args.session.as_ref().filter(|_| chat.talk.questions() > 0) {
        chat.take_state(&session_path(chat.store.as_ref(), name)?);
    }
    let result = chat.talk();
    if !chat.interrupt.is_final() {
        chat.leave();
    }
    match result {
        Err(error) if is_broken_pipe(&error) => Ok(()),
        result => result,
    }
}

/// A conversation at work.
struct Chat<'a> {
    args: &'a ChatArgs,
    model: PathBuf,
    opened: Opened,
    interrupt: Interrupt,
    source: Source,
    store: Option<Store>,
    talk: Talk,
    line: SetLine,
    /// What was set, to be shown.
    typed: Vec<(String, String)>,
    /// Functions the model may call.
    tools: Vec<serde_json::Value>,
    /// Variables of the template.
    variables: serde_json::Map<String, serde_json::Value>,
    thinking: Thinking,
    /// Whether the model's state changed since it was kept.
    unsaved: bool,
    last: Option<Answer>,
    /// Whether the last thing the user did was Ctrl-C.
    struck: bool,
    out: &'a mut dyn Write,
    err: &'a mut dyn Write,
}

impl Chat<'_> {
    fn greet(&mut self) {
        let kept = match self.talk.questions() {
            0 => String::new(),
            count => format!(" · {count} questions so far"),
        };
        let model = self.model.file_name().unwrap_or_default().display();
        self.say(&format!("{model}{kept} · /help lists the commands"));
    }

    fn talk(&mut self) -> anyhow::Result<()> {
        let mut initial = String::new();
        loop {
            match self.source.read(PROMPT, &std::mem::take(&mut initial))? {
                Input::End => return Ok(()),
                // Of a signal that was heard while an answer was written.
                Input::Signal if !self.interrupt.is_raised() => {}
                Input::Signal if self.interrupt.is_final() => return Err(Interrupted.into()),
                Input::Signal | Input::Interrupt if self.struck => return Err(Interrupted.into()),
                Input::Signal | Input::Interrupt => {
                    self.interrupt.clear();
                    self.struck = true;
                    self.say("Ctrl-C again leaves");
                }
                Input::Entry(_) if self.interrupt.is_raised() => return Err(Interrupted.into()),
                Input::Entry(text) => {
                    self.struck = false;
                    match Entry::parse(&text) {
                        Entry::Say(text) if text.trim().is_empty() => {}
                        Entry::Say(text) => self.ask(&text)?,
                        Entry::Do(Command::Exit) => return Ok(()),
                        Entry::Do(Command::Edit(None)) => match self.talk.undo() {
                            Some(question) if self.source.is_terminal() => initial = question,
                            _ => self.say("there is no question to change"),
                        },
                        Entry::Do(command) => self.obey(command)?,
                        Entry::Unknown(why) => self.say(&why),
                    }
                }
            }
        }
    }

    fn obey(&mut self, command: Command) -> anyhow::Result<()> {
        match command {
            Command::Help => self.aside(HELP),
            Command::Regen if self.talk.regen() => return self.answer(),
            Command::Regen => self.say("there is no question to answer again"),
            Command::Undo => match self.talk.undo() {
                Some(question) => self.say(&format!("taken back: {question}")),
                None => self.say("there is nothing to take back"),
            },
            Command::Edit(text) => {
                self.talk.undo();
                return self.ask(&text.unwrap_or_default());
            }
            Command::Clear => {
                self.talk.clear();
                self.say("a new conversation");
            }
            Command::System(text) => self.system(text),
            Command::Set(words) => self.set(&words),
            Command::Think(how) => self.think(how.as_deref()),
            Command::Save(name) => self.report(|chat| chat.save(name.as_deref())),
            Command::Load(name) => self.report(|chat| chat.load(name.as_deref())),
            Command::Export(path) => self.report(|chat| {
                std::fs::write(&path, chat.talk.markdown())
                    .with_context(|| format!("cannot write `{}`", path.display()))?;
                Ok(format!("written to `{}`", path.display()))
            }),
            Command::Stats => match &self.last {
                Some(answer) => self.say(&summary(answer)),
                None => self.say("there was no answer yet"),
            },
            Command::Exit => {}
        }
        Ok(())
    }

    fn ask(&mut self, text: &str) -> anyhow::Result<()> {
        self.talk.ask(text);
        self.answer()
    }

    /// Answers the last question, with the results of the functions that the model calls on the way.
    fn answer(&mut self) -> anyhow::Result<()> {
        while let Some(calls) = self.turn()? {
            if !self.results(&calls)? {
                self.talk.undo();
                self.say("a result is missing; the question is taken back");
                break;
            }
        }
        Ok(())
    }

    /// One answer, or calls that wait for their results. What goes wrong with it takes the question back and ends
    /// nothing else.
    fn turn(&mut self) -> anyhow::Result<Option<Vec<ToolCall>>> {
        let asked = self.generate();
        let answer = match asked {
            Ok(answer) => answer,
            Err(error) if is_broken_pipe(&error) => return Err(error),
            Err(error) => {
                self.talk.undo();
                self.say(&format!("error: {error:#}"));
                return Ok(None);
            }
        };
        if answer.reason == FinishReason::Cancelled {
            if !self.source.is_terminal() || self.interrupt.is_final() {
                return Err(Interrupted.into());
            }
            self.struck = true;
            self.interrupt.clear();
        }
        let calls = answer.tool_calls.clone();
        if answer.reasoning.is_empty() && answer.content.is_empty() && calls.is_empty() {
            self.talk.undo();
            self.say("there was no answer; the question is taken back");
            return Ok(None);
        }
        self.talk.answered(answer.reasoning.clone(), answer.content.clone(), calls.clone());
        self.unsaved = true;
        if !self.args.json {
            self.say(&summary(&answer));
            self.aside("\n");
        }
        let waits = !calls.is_empty() && answer.reason == FinishReason::Stop;
        self.last = Some(answer);
        if waits {
            return Ok(Some(calls));
        }
        if let Some(name) = &self.args.session
            && let Err(error) = self.write(name)
        {
            self.say(&format!("error: {error:#}"));
        }
        Ok(None)
    }

    /// The conversation as the model is asked to go on with it.
    fn request(&self, sampling: SamplingParams) -> ChatRequest {
        let Settings { predict, reasoning_budget, .. } = &self.line.settings;
        let mut request = ChatRequest::new(self.talk.messages(), sampling);
        request.max_tokens = predict.and_then(|n| u32::try_from(n).ok());
        request.reasoning_budget = reasoning_budget.and_then(|n| u32::try_from(n).ok());
        request.tools.clone_from(&self.tools);
        request.variables.clone_from(&self.variables);
        request
    }

    fn generate(&mut self) -> anyhow::Result<Answer> {
        let sampling = self.line.settings.sampling.params(&self.opened.model)?;
        let seed = sampling.seed;
        let request = self.request(sampling);
        let question = request.messages.last().map(|message| message.content.text()).unwrap_or_default();
        if self.args.json {
            let answer = answer(&self.opened.session, request, &self.interrupt, &mut |_| Ok(()))?;
            json::write(self.out, &question, &answer, seed)?;
            self.out.flush()?;
            return Ok(answer);
        }
        let mut show = Show::new(self.out, self.err, self.thinking);
        let answer = answer(&self.opened.session, request, &self.interrupt, &mut |piece| show.piece(piece));
        show.finish()?;
        answer
    }

    fn system(&mut self, text: Option<String>) {
        match text.as_deref() {
            None => {
                let shown = self.talk.system.clone().unwrap_or_else(|| "no instructions".to_owned());
                return self.say(&shown);
            }
            Some("-") => self.talk.system = None,
            Some(_) => self.talk.system = text,
        }
        self.say("the instructions hold from the next answer on");
    }

    fn set(&mut self, words: &[String]) {
        let [name, value @ ..] = words else {
            let lines =
                self.typed.iter().map(|(name, value)| format!("{name} {value}").trim_end().to_owned());
            let lines: Vec<String> = lines.collect();
            let shown = if lines.is_empty() { "nothing was set".to_owned() } else { lines.join("\n") };
            return self.say(&shown);
        };
        let option = format!("--{}", name.trim_start_matches('-').replace('_', "-"));
        let mut line = SetLine { settings: self.line.settings.clone() };
        let typed = std::iter::once(option.clone()).chain(value.iter().cloned());
        match line.try_update_from(typed) {
            Ok(()) => {
                self.line = line;
                self.typed.retain(|(known, _)| *known != option[2..]);
                self.typed.push((option[2..].to_owned(), value.join(" ")));
            }
            Err(error) => {
                let text = error.to_string();
                self.say(text.lines().next().unwrap_or("error: this cannot be set"));
            }
        }
    }

    fn think(&mut self, how: Option<&str>) {
        match how {
            None => {
                let name = self.thinking.to_possible_value();
                self.say(&format!("thinking: {}", name.as_ref().map_or("", |value| value.get_name())));
            }
            Some(switch @ ("on" | "off")) => {
                self.variables.insert("enable_thinking".to_owned(), (switch == "on").into());
                self.say("holds from the next answer on, if the model's template has such a switch");
            }
            Some(how) => match Thinking::from_str(how, true) {
                Ok(thinking) => self.thinking = thinking,
                Err(_) => self.say("expected show, dim, fold, hide, on or off"),
            },
        }
    }

    /// Does something that may fail and says how it went.
    fn report(&mut self, action: impl FnOnce(&mut Self) -> anyhow::Result<String>) {
        match action(self) {
            Ok(text) => self.say(&text),
            Err(error) => self.say(&format!("error: {error:#}")),
        }
    }

    /// Says something to the user, set off from answers.
    fn say(&mut self, text: &str) {
        let style = super::style::Style::of_stderr();
        self.aside(&format!("{}{text}{}\n", style.dim(), style.reset()));
    }

    fn aside(&mut self, text: &str) {
        drop(self.err.write_all(text.as_bytes()).and_then(|()| self.err.flush()));
    }
}
