//! A running conversation: its parts, and its messages to the user.

use std::path::PathBuf;

use ggrun::chat::Message;
use ggrun::session::{Answer, ChatRequest};

use super::args::ChatArgs;
use super::input::Source;
use super::settings::Settings;
use super::store::Store;
use super::talk::Talk;
use crate::cli::interrupt::Interrupt;
use crate::cli::shared::open::Opened;
use crate::cli::shared::show::Thinking;
use crate::cli::ui::err::columns;
use crate::cli::ui::escape::{message, printable};
use crate::cli::ui::stream::Stream;
use crate::cli::ui::style::{Face, Style};
use crate::cli::ui::wrap::Wrap;

/// A running conversation.
pub(super) struct Chat<'a> {
    pub(super) args: &'a ChatArgs,
    pub(super) model: PathBuf,
    pub(super) opened: Opened,
    pub(super) interrupt: Interrupt,
    pub(super) source: Source,
    pub(super) store: Option<Store>,
    pub(super) talk: Talk,
    /// The messages in the file of the session.
    pub(super) stored: Vec<Message>,
    pub(super) settings: Settings,
    pub(super) thinking: Thinking,
    /// Whether the state of the model changed since it was saved.
    pub(super) unsaved: bool,
    pub(super) last: Option<Answer>,
    /// Whether the last entry was Ctrl-C.
    pub(super) interrupted: bool,
    /// Texts that the next message begins with.
    pub(super) attached: Vec<String>,
    /// The last question, if it could not be answered.
    pub(super) failed: Option<String>,
    pub(super) out: &'a mut dyn Stream,
    pub(super) err: &'a mut dyn Stream,
}

impl Chat<'_> {
    /// The request for the next answer. `seed` is used unless one is set.
    pub(super) fn request(&self, seed: u32) -> ChatRequest {
        self.settings.current().chat_request(self.talk.messages(), seed)
    }

    /// Writes a message to the user, set off from answers.
    pub(super) fn say(&mut self, text: &str) {
        self.wrapped(Face::DIM, 0, &format!("{}\n", printable(text)));
    }

    /// Writes an error.
    pub(super) fn complain(&mut self, error: &anyhow::Error) {
        self.say(&format!("error: {}", message(&format!("{error:#}"))));
    }

    /// Writes text whose lines continue after this many spaces.
    pub(super) fn wrapped(&mut self, face: Face, indent: usize, text: &str) {
        let mut wrap = Wrap::new(columns(), Style::of_stderr());
        wrap.indent = indent;
        drop(wrap.push(face, text, self.err).and_then(|()| self.err.flush()));
    }
}
