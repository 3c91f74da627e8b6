//! `ggrun chat`: a conversation at the terminal or through a pipe.

mod answering;
mod args;
mod command;
mod compact;
mod complete;
mod conversation;
mod fields;
mod files;
mod gauge;
mod input;
mod path;
mod saving;
mod set;
mod settings;
mod store;
mod talk;
mod tools;

use anyhow::Context as _;
use ggrun::model::Model;

pub(crate) use args::ChatArgs;
use command::{Command, DESCRIPTIONS, Entry, HELP};
use conversation::Chat;
use input::{Input, PROMPT, Source};
use saving::{begin, session_path};
use settings::Settings;
use store::Store;

use crate::cli::error::Interrupted;
use crate::cli::interrupt::Interrupt;
use crate::cli::options::checks;
use crate::cli::shared::open;
use crate::cli::shared::source;
use crate::cli::shared::summary::summary;
use crate::cli::ui::escape::{cut, printable};
use crate::cli::ui::stream::Stream;
use crate::cli::ui::style::{Face, Verbatim, clipboard};
use crate::cli::ui::when::When;
use crate::cli::ui::{err, out, text};

/// Characters of a removed question that are shown: it may begin with a file.
const SHOWN: usize = 200;

/// Chats until the user leaves.
///
/// # Errors
///
/// When the model cannot be loaded, or standard output cannot be written to; [`Interrupted`] when the user left
/// with Ctrl-C.
pub(crate) fn run(args: &ChatArgs, to: &mut dyn Stream, aside: &mut dyn Stream) -> anyhow::Result<()> {
    args.model.named()?;
    let store = Store::of_user();
    let mut talk = begin(args, store.as_ref())?;
    let stored = talk.messages();
    if let Some(text) = args.system.text()? {
        talk.system = Some(text);
    }
    let options = checks::generation(&args.generation, &args.escape)?;
    let template = args.template.source()?;
    // The line editor replaces the handler of SIGINT; listeners after it are called too.
    let source = Source::open(store.as_ref())?;
    let interrupt = Interrupt::listen();
    let model = source::model(&args.model, When::Auto)?;
    let opened = open::open(args.placement.options(&model), template, &interrupt)?;
    options.check_reasoning(opened.session.template())?;
    let settings = Settings::new(options, &opened.model.sampling(0), &Model::default_sampling(0));
    let mut chat = Chat {
        args,
        model,
        opened,
        interrupt,
        source,
        store,
        talk,
        stored,
        settings,
        thinking: args.thinking,
        unsaved: false,
        last: None,
        interrupted: false,
        attached: Vec::new(),
        failed: None,
        out: to,
        err: aside,
    };
    if chat.source.is_terminal() {
        chat.interrupt.continue_after_ctrl_c();
        chat.greet();
    }
    if let Some(name) = args.session.as_ref().filter(|_| chat.talk.questions() > 0) {
        chat.restore_state(&session_path(chat.store.as_ref(), name)?);
    }
    let result = chat.talk();
    if !chat.interrupt.is_final() {
        chat.leave();
    }
    result
}

impl Chat<'_> {
    fn greet(&mut self) {
        let questions = match self.talk.questions() {
            0 => String::new(),
            count => format!(" · {} so far", text::plural(count as u64, "question")),
        };
        let model = self.model.file_name().unwrap_or_default().display();
        self.say(&format!("{model}{questions} · /help lists the commands"));
    }

    fn talk(&mut self) -> anyhow::Result<()> {
        // The question on the prompt, while it is edited.
        let mut edited: Option<String> = None;
        loop {
            let initial = edited.take();
            match self.source.read(PROMPT, initial.as_deref().unwrap_or_default())? {
                Input::End => return Ok(()),
                // A signal that came while an answer was written.
                Input::Signal if !self.interrupt.is_raised() => {}
                Input::Signal if self.interrupt.is_final() => return Err(Interrupted.into()),
                Input::Interrupt { typed: true } => {
                    self.interrupt.clear();
                    self.interrupted = false;
                }
                Input::Signal | Input::Interrupt { .. } if self.interrupted => return Err(Interrupted.into()),
                Input::Signal | Input::Interrupt { .. } => {
                    self.interrupt.clear();
                    self.interrupted = true;
                    self.say("press Ctrl-C again to leave");
                }
                Input::Entry(_) if self.interrupt.is_raised() => return Err(Interrupted.into()),
                Input::Entry(text) => {
                    self.interrupted = false;
                    let is_same = initial.as_ref() == Some(&text);
                    match if is_same { Entry::Say(text) } else { Entry::parse(&text) } {
                        Entry::Say(text) if text.trim().is_empty() => {}
                        Entry::Say(text) if initial.is_some() => self.edit(&text)?,
                        Entry::Say(text) => {
                            self.ask(&text)?;
                            if self.args.single_turn {
                                return Ok(());
                            }
                        }
                        Entry::Do(Command::Exit) => return Ok(()),
                        Entry::Do(Command::Edit(None)) => {
                            match self.failed.clone().or_else(|| self.talk.question()) {
                                None => self.say("no question to change"),
                                Some(_) if !self.source.is_terminal() => self.say("/edit needs text"),
                                Some(question) if printable(&question) != question => {
                                    self.say("the question has control characters; `/edit TEXT` replaces it");
                                }
                                question => edited = question,
                            }
                        }
                        Entry::Do(command) => self.execute(command)?,
                        Entry::Unknown(why) => self.say(&why),
                    }
                }
            }
        }
    }

    fn execute(&mut self, command: Command) -> anyhow::Result<()> {
        match command {
            Command::Help => {
                let (commands, keys) = HELP.split_once("\n\n").unwrap_or((HELP, ""));
                self.wrapped(Face::PLAIN, DESCRIPTIONS, &format!("{commands}\n\n"));
                self.wrapped(Face::PLAIN, 0, keys);
            }
            Command::Regen => return self.regen(),
            Command::Undo => match self.talk.undo() {
                Some(question) => {
                    self.changed();
                    self.say(&format!("removed: {}", cut(&question, SHOWN)));
                }
                None => self.say("nothing to undo"),
            },
            Command::Edit(text) => return self.edit(&text.unwrap_or_default()),
            Command::Clear => {
                self.talk.clear();
                self.attached.clear();
                self.failed = None;
                self.changed();
                self.say("new conversation");
            }
            Command::Compact => match self.compact() {
                Err(error) if error.is::<Interrupted>() => return Err(error),
                result => self.report(|_| result),
            },
            Command::Read(path) => self.report(|chat| chat.attach(&path)),
            Command::Copy => self.report(Self::copy),
            Command::System(text) => self.system(text),
            Command::Set(words) => self.report(|chat| chat.set(&words)),
            Command::Unset(name) => self.report(|chat| chat.unset(&name)),
            Command::Think(how) => self.report(|chat| chat.think(how.as_deref())),
            Command::Save(name) => self.report(|chat| chat.save(name.as_deref())),
            Command::Load(name) => {
                self.failed = None;
                self.report(|chat| chat.load(name.as_deref()));
            }
            Command::Export(path) => self.report(|chat| chat.export(&path)),
            Command::Stats => {
                let last = self.last.as_ref().map_or_else(|| "no answer yet".to_owned(), summary);
                let gauge = self.gauge().map(|gauge| format!("\n{gauge}"));
                self.say(&(last + &gauge.unwrap_or_default()));
            }
            Command::Exit => {}
        }
        Ok(())
    }

    /// Copies the last answer to the clipboard of the terminal.
    fn copy(&mut self) -> anyhow::Result<String> {
        let text = self.talk.last_answer().filter(|text| !text.is_empty()).context("no answer to copy")?;
        let to: &mut dyn Stream = match (err::is_terminal(), out::is_terminal()) {
            (true, _) => self.err,
            (false, true) => self.out,
            (false, false) => anyhow::bail!("cannot copy: no terminal whose clipboard could be set"),
        };
        to.verbatim(Verbatim::raw(&clipboard(&text)))?;
        to.flush()?;
        let size = text::plural(text.chars().count() as u64, "character");
        Ok(format!("{size} sent to the clipboard of the terminal, if it supports OSC 52"))
    }

    fn system(&mut self, text: Option<String>) {
        match text.as_deref() {
            None => {
                let shown = self.talk.system.clone().unwrap_or_else(|| "no system prompt".to_owned());
                return self.say(&shown);
            }
            Some("-") => self.talk.system = None,
            Some(_) => self.talk.system = text,
        }
        self.changed();
        self.say("system prompt set for the next answers");
    }

    /// Writes the result of an action, or its error.
    fn report(&mut self, action: impl FnOnce(&mut Self) -> anyhow::Result<String>) {
        match action(self) {
            Ok(text) => self.say(&text),
            Err(error) => self.complain(&error),
        }
    }
}
