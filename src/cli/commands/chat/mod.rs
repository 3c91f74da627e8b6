//! `ggrun chat`: a conversation at the terminal or through a pipe.

mod answering;
mod args;
mod command;
mod conversation;
mod input;
mod saving;
mod settings;
mod show;
mod store;
mod talk;
mod tools;

use std::io::Write;

use anyhow::Context as _;
use clap::{Parser as _, ValueEnum as _};
use ggrun::engine::SamplingParams;
use ggrun::session::ChatRequest;

pub(crate) use args::ChatArgs;
use command::{Command, Entry, HELP};
use conversation::Chat;
use input::{Input, PROMPT, Source};
use saving::{begin, session_path};
use settings::SetLine;
use show::Thinking;
use store::Store;

use crate::cli::error::Interrupted;
use crate::cli::interrupt::Interrupt;
use crate::cli::shared::devices::list_devices;
use crate::cli::shared::open;
use crate::cli::shared::source;
use crate::cli::shared::summary::summary;
use crate::cli::ui::when::When;

/// Talks until the user leaves.
///
/// # Errors
///
/// When the model cannot be loaded, or standard output cannot be written to; [`Interrupted`] when the user left
/// with Ctrl-C.
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
    let model = source::model(&args.model, When::Auto)?;
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
    result
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
}
