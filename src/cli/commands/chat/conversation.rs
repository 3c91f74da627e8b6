//! A conversation at work: its parts, and how it speaks to the user.

use std::io::Write;
use std::path::PathBuf;

use ggrun::engine::SamplingParams;
use ggrun::session::ChatRequest;

use super::args::ChatArgs;
use super::input::Source;
use super::settings::{SetLine, Settings};
use super::show::Thinking;
use super::store::Store;
use super::talk::Talk;
use crate::cli::interrupt::Interrupt;
use crate::cli::shared::answer::Answer;
use crate::cli::shared::open::Opened;
use crate::cli::ui::style::Style;

/// A conversation at work.
pub(super) struct Chat<'a> {
    pub(super) args: &'a ChatArgs,
    pub(super) model: PathBuf,
    pub(super) opened: Opened,
    pub(super) interrupt: Interrupt,
    pub(super) source: Source,
    pub(super) store: Option<Store>,
    pub(super) talk: Talk,
    pub(super) line: SetLine,
    /// What was set, to be shown.
    pub(super) typed: Vec<(String, String)>,
    /// Functions the model may call.
    pub(super) tools: Vec<serde_json::Value>,
    /// Variables of the template.
    pub(super) variables: serde_json::Map<String, serde_json::Value>,
    pub(super) thinking: Thinking,
    /// Whether the model's state changed since it was kept.
    pub(super) unsaved: bool,
    pub(super) last: Option<Answer>,
    /// Whether the last thing the user did was Ctrl-C.
    pub(super) struck: bool,
    pub(super) out: &'a mut dyn Write,
    pub(super) err: &'a mut dyn Write,
}

impl Chat<'_> {
    /// The conversation as the model is asked to go on with it.
    pub(super) fn request(&self, sampling: SamplingParams) -> ChatRequest {
        let Settings { predict, reasoning_budget, .. } = &self.line.settings;
        let mut request = ChatRequest::new(self.talk.messages(), sampling);
        request.max_tokens = predict.and_then(|n| u32::try_from(n).ok());
        request.reasoning_budget = reasoning_budget.and_then(|n| u32::try_from(n).ok());
        request.tools.clone_from(&self.tools);
        request.variables.clone_from(&self.variables);
        request
    }

    /// Says something to the user, set off from answers.
    pub(super) fn say(&mut self, text: &str) {
        let style = Style::of_stderr();
        self.aside(&format!("{}{text}{}\n", style.dim(), style.reset()));
    }

    pub(super) fn aside(&mut self, text: &str) {
        drop(self.err.write_all(text.as_bytes()).and_then(|()| self.err.flush()));
    }
}
