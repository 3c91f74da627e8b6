//! From a conversation to an answer, for every front end: render, tokenise, submit, parse.

mod answer;
mod chat;
mod event;
mod functions;
mod limit;
mod options;
mod prompt;
mod request;
mod sampling;
mod seed;

mod variables;

use std::sync::Arc;
use std::time::SystemTime;

use crate::chat::{self as text, AnswerParser, Message, RenderOptions, Role, Start, Template};
use crate::engine::{self, Markup, Request, Saved, Submitter, Token, Vocab};

pub use answer::Answer;
pub use chat::Chat;
pub use event::{ChatEvent, ChatUsage};
pub use functions::{NotAFunction, functions};
pub use limit::{Limit, NotALimit};
pub use options::{GenerationOptions, Logprobs, ReasoningFixed, ReasoningMode, ToolChoiceError};
pub use request::{ChatRequest, REASONING_BUDGET_MESSAGE, TextRequest, ToolCallIds, ToolChoice};
pub use sampling::{MirostatMode, SamplingOptions};
pub use seed::{NotASeed, Seed};

pub use variables::{Reserved, variables};

/// Everything it takes to answer; clones share the engine.
#[derive(Clone)]
pub struct Session {
    submitter: Submitter,
    vocab: Arc<dyn Vocab + Send + Sync>,
    template: Arc<Template>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("template", &self.template).finish_non_exhaustive()
    }
}

/// Why a conversation could not be submitted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The template did not make a prompt of it.
    #[error("cannot turn the conversation into a prompt")]
    Template(#[from] text::Error),
    /// The engine took no request.
    #[error("cannot hand the request to the engine")]
    Engine(#[from] engine::Error),
}

impl Session {
    /// Puts the parts together.
    pub fn new(submitter: Submitter, vocab: Arc<dyn Vocab + Send + Sync>, template: Template) -> Self {
        Self { submitter, vocab, template: Arc::new(template) }
    }

    /// The template that makes prompts of conversations.
    #[must_use]
    pub fn template(&self) -> &Template {
        &self.template
    }

    /// Starts an answer.
    ///
    /// # Errors
    ///
    /// When the conversation makes no prompt, or the engine takes no requests. A prompt that is too long is
    /// the answer's terminal event.
    pub fn chat(&self, request: ChatRequest) -> Result<Chat, Error> {
        let calls = request.messages.iter().map(|message| message.tool_calls.len()).sum();
        let ChatRequest { messages, mut sampling, max_tokens, stop, tools, variables, .. } = request;
        let mut options =
            RenderOptions { add_generation_prompt: true, tools, variables, now: SystemTime::now() };
        let mut prompt = self.template.render(&messages, &options)?;
        let mut start = Start::of(&self.template, &prompt);
        let tags = start.tags();
        let ending = format!("{}\n{}\n\n", request.reasoning_budget_message, tags.close);
        if matches!(start, Start::Reasoning(_)) && request.reasoning_budget == Some(0) {
            prompt += &ending;
            start = Start::of(&self.template, &prompt);
        }
        let inside = matches!(start, Start::Reasoning(_) | Start::Unopened(_));
        if let Some(grammar) = &mut sampling.grammar {
            grammar.after = inside.then(|| tags.close.to_owned());
        }
        let parser = AnswerParser::of(&self.template, &prompt, &options.tools);
        let tokens = self.vocab.tokenize(&prompt, Markup::Parsed);
        options.add_generation_prompt = false;
        let boundaries = self.boundaries(&messages, &options, &tokens);
        let reasoning = engine::Reasoning {
            open: (!inside).then(|| tags.open.to_owned()),
            close: tags.close.to_owned(),
            ending: self.vocab.tokenize(&ending, Markup::Parsed),
            budget: request.reasoning_budget,
        };
        let reply = self.submitter.submit(Request {
            max_tokens,
            stop,
            boundaries,
            reasoning: Some(reasoning),
            ..Request::new(tokens, sampling)
        })?;
        Ok(Chat {
            reply,
            parser: Some(parser),
            reasoning_tokens: 0,
            open_tokens: 0,
            calls,
            ready: Vec::new(),
            logprobs: Vec::new(),
        })
    }

    /// Starts the continuation of a text. All of it is content.
    ///
    /// # Errors
    ///
    /// When the engine takes no requests.
    pub fn complete(&self, request: TextRequest) -> Result<Chat, Error> {
        let TextRequest { prompt, sampling, max_tokens, stop } = request;
        let tokens = self.text(&prompt);
        let reply = self.submitter.submit(Request { max_tokens, stop, ..Request::new(tokens, sampling) })?;
        Ok(Chat {
            reply,
            parser: None,
            reasoning_tokens: 0,
            open_tokens: 0,
            calls: 0,
            ready: Vec::new(),
            logprobs: Vec::new(),
        })
    }

    /// Tokens of the prompt that a conversation makes.
    ///
    /// # Errors
    ///
    /// When it makes none.
    pub fn count(&self, request: &ChatRequest) -> Result<usize, Error> {
        let options = RenderOptions {
            add_generation_prompt: true,
            tools: request.tools.clone(),
            variables: request.variables.clone(),
            now: SystemTime::now(),
        };
        let prompt = self.template.render(&request.messages, &options)?;
        Ok(self.vocab.tokenize(&prompt, Markup::Parsed).len())
    }

    /// Tokens of a text to be continued.
    #[must_use]
    pub fn count_text(&self, text: &str) -> usize {
        self.text(text).len()
    }

    /// A text from its first token on; one that names that token itself has it once.
    fn text(&self, text: &str) -> Vec<Token> {
        let tokens = self.vocab.tokenize(text, Markup::Parsed);
        let first = self.vocab.first().filter(|first| tokens.first() != Some(first));
        first.into_iter().chain(tokens).collect()
    }

    /// The bytes that a token writes.
    #[must_use]
    pub fn piece(&self, token: Token) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.vocab.write(token, &mut bytes);
        bytes
    }

    /// Copies out what the engine holds of a conversation, as far as its next turn can go on from it. The model is idle
    /// while that takes place.
    ///
    /// # Errors
    ///
    /// When the conversation makes no prompt, or the engine holds nothing of it.
    pub fn save(&self, request: &ChatRequest) -> Result<Saved, Error> {
        let (tools, variables) = (request.tools.clone(), request.variables.clone());
        let options =
            RenderOptions { add_generation_prompt: false, tools, variables, now: SystemTime::now() };
        // Some templates write an answer otherwise once a question follows it.
        let mut messages = request.messages.clone();
        if messages.last().is_some_and(|last| last.role == Role::Assistant) {
            messages.push(Message::new(Role::User, "?"));
        }
        let prompt = self.template.render(&messages, &options)?;
        Ok(self.submitter.save(self.vocab.tokenize(&prompt, Markup::Parsed))?)
    }

    /// Puts such a copy back, so that the next turn goes on from it.
    ///
    /// # Errors
    ///
    /// When the engine does not take it.
    pub fn restore(&self, saved: Saved) -> Result<(), Error> {
        Ok(self.submitter.restore(saved)?)
    }
}

#[cfg(test)]
mod tests;
