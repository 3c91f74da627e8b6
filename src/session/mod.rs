//! From a conversation to an answer, for every front end: render, tokenize, submit, parse.

mod answer;
mod calls;
mod chat;
mod error;
mod event;
mod functions;
mod hooks;
mod limit;
mod options;
mod pieces;
mod prompt;
mod request;
mod sampling;
mod seed;
mod start;
mod text;
mod tokens;
mod variables;

use std::sync::Arc;

use crate::chat::{AnswerParser, Start, Tags, Template};
use crate::engine::{
    self, Block, ClientId, Grammar, Namespace, Opening, Request, SamplingParams, Saved, Submitter, Token,
    Vocab,
};
use prompt::{Prompt, Prompts};
use variables::Warned;

pub use answer::Answer;
pub use chat::Chat;
pub use error::{ContinueError, Error, ToolChoiceError};
pub use event::{ChatEvent, ChatUsage};
pub use functions::{NotAFunction, functions};
pub use hooks::{Answered, Hooks};
pub use limit::{Limit, NotALimit};
pub use options::{GenerationOptions, Logprobs, ReasoningFixed, ReasoningMode};
pub use request::{
    ChatRequest, PromptPart, PromptText, REASONING_BUDGET_MESSAGE, TextRequest, ToolCallIds, ToolChoice,
};
pub use sampling::{MirostatMode, SamplingOptions};
pub use seed::{NotASeed, Seed};
pub use variables::{Reserved, variables};

/// An engine, a vocabulary and a template; clones share the engine.
#[derive(Clone)]
pub struct Session {
    submitter: Submitter,
    prompts: Prompts,
    warned: Arc<Warned>,
    namespace: Namespace,
    client: ClientId,
    hooks: Option<Hooks>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("template", self.template()).finish_non_exhaustive()
    }
}

impl Session {
    /// Creates a session from its parts.
    pub fn new(submitter: Submitter, vocab: Arc<dyn Vocab + Send + Sync>, template: Template) -> Self {
        let prompts = Prompts::new(vocab, template, submitter.context());
        let (namespace, client) = (Namespace::default(), ClientId::default());
        Self { submitter, prompts, warned: Arc::default(), namespace, client, hooks: None }
    }

    /// The same session for another namespace: its requests reuse only sequences of that.
    #[must_use]
    pub fn within(&self, namespace: Namespace) -> Self {
        Self { namespace, ..self.clone() }
    }

    /// The same session for another client: clients whose requests wait take turns.
    #[must_use]
    pub fn for_client(&self, client: ClientId) -> Self {
        Self { client, ..self.clone() }
    }

    /// The same session with hooks around each answer.
    #[must_use]
    pub fn with_hooks(self, hooks: Hooks) -> Self {
        Self { hooks: Some(hooks), ..self }
    }

    /// The same session, which calls a function before the first hook, if it has hooks: from there on, a request may block.
    #[must_use]
    pub fn before_hooks(&self, call: impl Fn() + Send + Sync + 'static) -> Self {
        let hooks = self.hooks.clone().map(|Hooks { before, after }| {
            let before = move |prompt: engine::Prompt<'_>| {
                call();
                before(prompt);
            };
            Hooks { before: Arc::new(before), after }
        });
        Self { hooks, ..self.clone() }
    }

    /// Hands requests to its engine.
    #[must_use]
    pub fn submitter(&self) -> &Submitter {
        &self.submitter
    }

    /// The chat template.
    #[must_use]
    pub fn template(&self) -> &Template {
        &self.prompts.template
    }

    /// The request that [`Self::chat`] submits to the engine, with all texts that end the answer: those of an answer
    /// with headers are not submitted, because only its content is searched for them.
    ///
    /// # Errors
    ///
    /// Those of [`Self::chat`], but for the engine's.
    pub fn chat_request(&self, request: ChatRequest) -> Result<Request, Error> {
        self.prepare(request).map(|(request, _)| request)
    }

    fn prepare(&self, mut request: ChatRequest) -> Result<(Request, AnswerParser), Error> {
        self.warned.check(self.template(), &request);
        let forced = self.forced_call(&request)?;
        let Prompt { tokens, boundaries, start, is_closed } = self.prompts.prompt(&request)?;
        let calls = match forced {
            None => self.schema_or_calls(&request, start)?,
            forced => forced,
        };
        // Without reasoning, too, text without an opening tag is content.
        let is_held =
            calls.is_some() || request.sampling.grammar.is_some() || request.reasoning_budget == Some(0);
        let start = if is_held { start.held() } else { start };
        let close = start.tags().close;
        if request.reasoning_budget_message.contains(close) {
            return Err(Error::BudgetMessage { close });
        }
        let ending = self.prompts.ending(&request, start.tags());
        let reasoning = reasoning(start, ending, request.reasoning_budget);
        if request.tool_choice == ToolChoice::None {
            request.tools.clear();
        }
        let ChatRequest { mut sampling, max_tokens, stop, tools, .. } = request;
        if let Some(rules) = calls {
            sampling.grammar =
                Some(Grammar { rules: Arc::new(rules), after: self.block(start, is_closed, Vec::new()) });
        } else if let Some(grammar) = &mut sampling.grammar {
            grammar.after = self.block(start, is_closed, start.tags().headers());
        }
        let format = self.template().tool_format(&tools);
        if format.is_none() && !tools.is_empty() && self.template().reads("tools") {
            self.warned.unknown_syntax();
        }
        let parser = AnswerParser::new(start, format, &tools);
        let tags = self.prompts.tags(Some(start));
        let request =
            Request { max_tokens, stop, boundaries, reasoning, tags, ..self.empty_request(tokens, sampling) };
        Ok((request, parser))
    }

    /// The tokens of a text to continue. They may end early if it is too long.
    ///
    /// # Errors
    ///
    /// When it is too long in any case.
    pub fn prompt_tokens(&self, text: PromptText) -> Result<Vec<Token>, Error> {
        self.prompts.check_text(&text)?;
        Ok(self.tokens(text, self.prompts.most()))
    }

    /// The request that [`Self::complete`] submits to the engine.
    #[must_use]
    pub fn text_request(&self, request: TextRequest) -> Request {
        let TextRequest { prompt, sampling, max_tokens, stop } = request;
        let (tokens, tags) = (self.tokens(prompt, self.prompts.most()), self.prompts.tags(None));
        Request { max_tokens, stop, tags, ..self.empty_request(tokens, sampling) }
    }

    fn empty_request(&self, tokens: Vec<Token>, sampling: SamplingParams) -> Request {
        Request { namespace: self.namespace, client: self.client, ..Request::new(tokens, sampling) }
    }

    /// The text of the prompt of a conversation, with the texts of its special tokens.
    ///
    /// # Errors
    ///
    /// When it cannot be rendered.
    pub fn rendered(&self, request: &ChatRequest) -> Result<String, Error> {
        self.prompts.text(request)
    }

    /// The number of tokens of the prompt of a conversation.
    ///
    /// # Errors
    ///
    /// When it cannot be rendered.
    pub fn count(&self, request: &ChatRequest) -> Result<usize, Error> {
        Ok(self.prompts.whole(request)?.tokens.len())
    }

    /// The number of tokens of a text to continue.
    #[must_use]
    pub fn count_text(&self, text: &str) -> usize {
        self.text(text, usize::MAX).len()
    }

    /// The tokens of a text in parts, up to the part with which there are more than `most`.
    fn tokens(&self, text: PromptText, most: usize) -> Vec<Token> {
        let mut all = Vec::new();
        for (index, part) in text.0.into_iter().enumerate() {
            match part {
                PromptPart::Text(text) if index == 0 => all = self.text(&text, most),
                PromptPart::Text(text) => {
                    all.extend(self.prompts.parsed(&text, most.saturating_sub(all.len())));
                }
                PromptPart::Tokens(tokens) => all.extend(tokens),
            }
            if all.len() > most {
                break;
            }
        }
        all
    }

    /// The tokens of a text from the model's first token on, which is added unless the text begins with it.
    fn text(&self, text: &str, most: usize) -> Vec<Token> {
        let tokens = self.prompts.parsed(text, most);
        let first = self.prompts.vocab.first().filter(|first| tokens.first() != Some(first));
        first.into_iter().chain(tokens).collect()
    }

    /// The tokens of a text without special tokens, up to where there are more than `most`.
    #[must_use]
    pub fn plain_tokens(&self, text: &str, most: usize) -> Vec<Token> {
        self.prompts.plain(text, most)
    }

    /// The text of a token as bytes, which is empty for control tokens other than the tags of the template.
    #[must_use]
    pub fn piece(&self, token: Token) -> Vec<u8> {
        let mut bytes = Vec::new();
        if self.prompts.is_tag(token) {
            self.prompts.vocab.write_any(token, &mut bytes);
        } else {
            self.prompts.vocab.write(token, &mut bytes);
        }
        bytes
    }

    /// Copies the state of a conversation, as far as its next turn can start from it. The model is idle meanwhile.
    ///
    /// # Errors
    ///
    /// When the conversation cannot be rendered, or the engine holds no state of it.
    pub fn save(&self, request: &ChatRequest) -> Result<Saved, Error> {
        let tokens = self.next_prompt(request)?;
        Ok(self.submitter.save(engine::Prompt { namespace: self.namespace, tokens: &tokens })?)
    }

    /// The tokens of a conversation with which the prompt of its next turn begins.
    ///
    /// # Errors
    ///
    /// When it cannot be rendered.
    pub fn next_prompt(&self, request: &ChatRequest) -> Result<Vec<Token>, Error> {
        self.prompts.history(request)
    }

    /// Restores a copy, so that the next turn starts from it.
    ///
    /// # Errors
    ///
    /// When the engine does not accept it.
    pub fn restore(&self, saved: Saved) -> Result<(), Error> {
        Ok(self.submitter.restore(self.namespace, saved)?)
    }

    /// The block before the text to which a grammar applies: of the content, or of calls, whose rules include headers.
    ///
    /// If the model may open a block, the grammar applies from the start to an answer that does not begin with the
    /// opening tag, also if the template leaves the opening tag to the model.
    fn block(&self, start: Start, is_closed: bool, headers: Vec<String>) -> Option<Block> {
        let Tags { open, close } = start.tags();
        let open = match start {
            Start::Reasoning(_) | Start::MidReasoning(_) => None,
            Start::Content(_) if is_closed && headers.is_empty() => return None,
            Start::Content(_) if Tags::of(self.template().source()).is_none() => return None,
            Start::Content(_) | Start::Unopened(_) => Some(open.to_owned()),
            Start::MidContent(_) => return None,
        };
        Some(Block { open, close: close.to_owned(), headers })
    }
}

/// The engine's part of the reasoning.
fn reasoning(start: Start, ending: Vec<Token>, budget: Option<u32>) -> Option<engine::Reasoning> {
    let Tags { open, close } = start.tags();
    let open = match start {
        Start::Reasoning(_) | Start::MidReasoning(_) => Opening::Prompt,
        Start::Unopened(_) => Opening::OptionalTag(open.to_owned()),
        Start::Content(_) => Opening::Tag(open.to_owned()),
        Start::MidContent(_) => return None,
    };
    Some(engine::Reasoning { open, close: close.to_owned(), ending, budget })
}

#[cfg(test)]
mod tests;
