//! `/set`, `/unset` and `/think`: options while a conversation is running.

use clap::ValueEnum as _;
use ggrun::engine::{self, Vocab as _, check_request};
use ggrun::session::{ReasoningFixed, ReasoningMode};

use super::conversation::Chat;
use super::settings::Settings;
use crate::cli::shared::show::Thinking;

impl Chat<'_> {
    /// Lists options, shows one, or sets one.
    pub(super) fn set(&mut self, words: &[String]) -> anyhow::Result<String> {
        match words {
            [] => Ok(self.settings.list()),
            [name] => self.settings.show(name),
            [name, value, ..] => {
                let settings = self.settings.with(name, value)?;
                self.adopt(settings)?;
                self.settings.show(name)
            }
        }
    }

    /// Removes the value of an option.
    pub(super) fn unset(&mut self, name: &str) -> anyhow::Result<String> {
        let settings = self.settings.without(name)?;
        self.adopt(settings)?;
        self.settings.show(name)
    }

    /// Shows how thinking is shown, changes that, or turns thinking on or off.
    pub(super) fn think(&mut self, how: Option<&str>) -> anyhow::Result<String> {
        let mode = match how {
            None => return Ok(format!("thinking: {}", self.thinking.name())),
            Some("on") => ReasoningMode::On,
            Some("off") => ReasoningMode::Off,
            Some(how) => {
                let expected = || anyhow::anyhow!("`{how}`: expected show, dim, fold, hide, on or off");
                self.thinking = Thinking::from_str(how, true).map_err(|_| expected())?;
                return Ok(format!("thinking: {}", self.thinking.name()));
            }
        };
        let settings = self.settings.with_reasoning(mode);
        self.adopt(settings)?;
        self.settings.show("reasoning")
    }

    /// Adopts settings with which the conversation can be continued.
    fn adopt(&mut self, settings: Settings) -> anyhow::Result<()> {
        let options = settings.current();
        options.check_reasoning(self.opened.session.template()).map_err(with_hint)?;
        options.check_tool_choice()?;
        self.opened.model.check_sampling(&options.params(0))?;
        // The next question: what is wrong with it is an error now, and not then.
        let mut next = self.talk.clone();
        next.ask("?");
        let request = self.opened.session.chat_request(options.chat_request(next.messages(), 0))?;
        match check_request(&request, self.opened.context(), self.opened.model.vocab().size()) {
            Ok(()) | Err(engine::Error::PromptTooLong { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        self.settings = settings;
        Ok(())
    }
}

fn with_hint(error: ReasoningFixed) -> anyhow::Error {
    match error {
        ReasoningFixed::AlwaysOn => anyhow::anyhow!("{error}; `/think hide` hides it"),
        ReasoningFixed::AlwaysOff => error.into(),
    }
}
