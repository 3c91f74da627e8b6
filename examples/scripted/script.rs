//! What the model writes after a prompt.
//!
//! A file of answers is an object whose keys are texts of users and whose values are [`Script`]s. A text that is itself a
//! JSON object is its own script; one that is neither is repeated after a line of reasoning.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use serde::Deserialize;

/// What begins a message in the template, before its role.
const MESSAGE: &str = "<|";
/// What ends the role.
const ROLE_END: &str = "|>";
const THINK_END: &str = "</think>";

/// One answer, or one after each result of a tool.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Script {
    /// What the model writes, from inside its reasoning: `REASONING</think>ANSWER`, with calls as the template has them.
    /// Several texts follow each other, one after each turn of tools.
    pub(crate) write: Texts,
    /// Tokens per second; as fast as possible if 0.
    pub(crate) rate: f64,
    /// Milliseconds before the first token.
    pub(crate) wait: u64,
    /// Tokens of the prompt per second; as fast as possible if 0.
    pub(crate) read: f64,
    /// Fails after the tokens of `after`.
    pub(crate) fail: Option<Failure>,
    /// Tokens before a failure.
    pub(crate) after: usize,
}

/// One text, or several.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(crate) enum Texts {
    One(String),
    Several(Vec<String>),
}

/// How a step fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Failure {
    /// This answer fails, and others continue.
    Step,
    /// The engine fails.
    Device,
}

/// Answers by the text of the user.
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct Answers(BTreeMap<String, Script>);

impl Default for Texts {
    fn default() -> Self {
        Self::One(String::new())
    }
}

impl Answers {
    /// Reads a file of answers.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("`{}` has no answers", path.display()))
    }

    /// The script for a rendered prompt.
    pub(crate) fn of(&self, prompt: &str) -> Script {
        let user = last_user(prompt).trim();
        self.0.get(user).cloned().or_else(|| serde_json::from_str(user).ok()).unwrap_or_else(|| Script {
            write: Texts::One(format!(
                "The user wrote a text, which I repeat.{THINK_END}\n\nYou wrote: {user}"
            )),
            ..Script::default()
        })
    }
}

impl Script {
    /// What is left to write after a prompt and the beginning of an answer.
    pub(crate) fn rest<'a>(&'a self, prompt: &str, written: &str) -> &'a str {
        let text = match &self.write {
            Texts::One(text) => text.as_str(),
            Texts::Several(texts) => texts.get(turns(prompt)).map_or("", String::as_str),
        };
        let begun = format!("{}{written}", begun(prompt));
        if let Some(rest) = text.strip_prefix(begun.as_str()) {
            return rest;
        }
        // The reasoning was ended early or is turned off, or a part of the answer is continued.
        let answer = text.split_once(THINK_END).map_or(text, |(_, answer)| answer).trim_start();
        let begun = begun.rsplit_once(THINK_END).map_or(begun.as_str(), |(_, begun)| begun).trim_start();
        answer.strip_prefix(begun).unwrap_or_default()
    }
}

/// The last text of the user.
fn last_user(prompt: &str) -> &str {
    let after = prompt.rsplit_once("<|user|>").map_or("", |(_, after)| after);
    after.split(MESSAGE).next().unwrap_or_default()
}

/// Turns of the assistant since then that have ended.
fn turns(prompt: &str) -> usize {
    let after = prompt.rsplit_once("<|user|>").map_or("", |(_, after)| after);
    after.matches("<|assistant|>").count().saturating_sub(1)
}

/// The part of the last message that the prompt already has.
fn begun(prompt: &str) -> &str {
    let last = prompt.rsplit_once(ROLE_END).map_or("", |(_, last)| last);
    last.strip_prefix("<think>").unwrap_or(last)
}
