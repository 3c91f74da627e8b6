//! The events of answers as chunks, and whole answers as a body.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::probabilities::Probabilities;
use crate::engine::{FinishReason, Timings, Token, TokenLogprob, Usage};
use crate::openai::chunk::Piece;
use crate::openai::error::ApiError;
use crate::openai::parts::{progress, timings};
use crate::session::{Answer, ChatEvent, ChatUsage};

/// Fields that each answer repeats, and that may be long.
const SETTINGS: &str = "generation_settings";
const PROMPT: &str = "prompt";

/// What bodies and chunks show, besides the answers.
pub struct Shown {
    /// The name of the model.
    pub model: String,
    /// Adds the tokens to a body; chunks always have them.
    pub tokens: bool,
    /// Adds probabilities in this form; returns the bytes of a token.
    pub probabilities: Option<(Probabilities, Piece)>,
    /// Adds chunks for the progress of the prompt.
    pub progress: bool,
    /// The only fields of a body and of the last chunk; an empty list selects all.
    pub fields: Vec<String>,
    /// See [`generation_settings`](super::generation_settings); each answer has its own seed.
    pub settings: Value,
    /// Texts that end the answers.
    pub stop: Vec<String>,
}

impl Shown {
    /// Whether a body has a part of this field.
    fn has(&self, name: &str) -> bool {
        self.fields.is_empty() || self.fields.iter().any(|path| path.split('/').next() == Some(name))
    }
}

impl std::fmt::Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shown")
            .field("model", &self.model)
            .field("tokens", &self.tokens)
            .field("fields", &self.fields)
            .finish_non_exhaustive()
    }
}

/// What an answer continues.
#[derive(Debug, Clone, PartialEq)]
pub struct Continued {
    /// The text of the prompt.
    pub prompt: Arc<str>,
    /// The seed of the answer.
    pub seed: u32,
}

/// Turns the answers to a request into chunks, or into one body.
#[derive(Debug)]
pub struct Completions {
    shown: Shown,
    answers: Vec<State>,
}

/// The state of one answer.
#[derive(Debug)]
struct State {
    continued: Continued,
    /// Tokens of the prompt.
    prompt: u32,
    /// Tokens of the answer so far.
    written: u32,
    has_new_line: bool,
}

impl Completions {
    /// For answers to these prompts.
    #[must_use]
    pub fn new(shown: Shown, answers: Vec<Continued>) -> Self {
        let state = |continued| State { continued, prompt: 0, written: 0, has_new_line: false };
        Self { shown, answers: answers.into_iter().map(state).collect() }
    }

    /// The bytes of prompts and settings in all answers, about.
    #[must_use]
    pub fn repeated_bytes(&self) -> usize {
        let Self { shown, answers } = self;
        let settings = if shown.has(SETTINGS) { shown.settings.to_string().len() } else { 0 };
        let prompt = |state: &State| if shown.has(PROMPT) { state.continued.prompt.len() } else { 0 };
        answers.iter().map(|state| settings + prompt(state)).sum()
    }

    /// The chunks of an event of the answer `index`; `tokens` and `logprobs` are those since its last event.
    ///
    /// # Panics
    ///
    /// When there is no such answer.
    pub fn event(
        &mut self,
        index: usize,
        event: &ChatEvent,
        tokens: &[Token],
        logprobs: &[TokenLogprob],
    ) -> Vec<Value> {
        match event {
            ChatEvent::Reasoning(text) | ChatEvent::Content(text) => self.text(index, text, tokens, logprobs),
            // A text is continued without a template, so it has no calls.
            ChatEvent::ToolCall(_) => Vec::new(),
            &ChatEvent::Progress { total, reused, read } => {
                self.answers[index].prompt = total;
                if !self.shown.progress {
                    return Vec::new();
                }
                let mut chunk = self.chunk(index, "", &[]);
                chunk["prompt_progress"] = progress(total, reused, read);
                vec![chunk]
            }
            ChatEvent::Finished { reason, usage, timings } => {
                let mut chunks =
                    if tokens.is_empty() { Vec::new() } else { self.text(index, "", tokens, logprobs) };
                let content =
                    Content { text: "", tokens: &[], has_new_line: self.answers[index].has_new_line };
                chunks.push(self.end(index, &content, (*reason, *usage, *timings), None));
                chunks
            }
            ChatEvent::Failed(error) => vec![ApiError::from(error).body()],
        }
    }

    /// The answers as a body: an object, or a list if there are several.
    #[must_use]
    pub fn whole(&self, answers: &[Answer]) -> Value {
        let one = |(index, answer): (usize, &Answer)| {
            let Answer { content: text, tokens, reason, usage, timings, logprobs, .. } = answer;
            let tokens = if self.shown.tokens { tokens.as_slice() } else { &[] };
            let content = Content { text, tokens, has_new_line: text.contains('\n') };
            self.end(index, &content, (*reason, *usage, *timings), Some(logprobs))
        };
        let mut all: Vec<Value> = answers.iter().enumerate().map(one).collect();
        if all.len() == 1 { all.remove(0) } else { Value::Array(all) }
    }

    /// The chunks of a text. Probabilities come one token at a time, the text with the last of them.
    fn text(&mut self, index: usize, text: &str, tokens: &[Token], logprobs: &[TokenLogprob]) -> Vec<Value> {
        let state = &mut self.answers[index];
        state.has_new_line |= text.contains('\n');
        let count = u32::try_from(tokens.len()).unwrap_or(u32::MAX);
        state.written = state.written.saturating_add(count);
        let Some((form, piece)) = self.shown.probabilities.as_ref().filter(|_| !logprobs.is_empty()) else {
            return vec![self.chunk(index, text, tokens)];
        };
        let last = logprobs.len() - 1;
        let with = |(at, logprob): (usize, &TokenLogprob)| {
            let mut chunk = self.chunk(index, if at == last { text } else { "" }, &[logprob.token]);
            chunk["completion_probabilities"] = form.write(std::slice::from_ref(logprob), &**piece);
            chunk
        };
        logprobs.iter().enumerate().map(with).collect()
    }

    fn chunk(&self, index: usize, text: &str, tokens: &[Token]) -> Value {
        let State { prompt, written, .. } = &self.answers[index];
        json!({
            "index": index,
            "content": text,
            "tokens": numbers(tokens),
            "stop": false,
            "tokens_predicted": written,
            "tokens_evaluated": prompt,
        })
    }

    /// The last chunk, or the body of an answer.
    fn end(
        &self,
        index: usize,
        content: &Content<'_>,
        (reason, usage, took): (FinishReason, ChatUsage, Timings),
        logprobs: Option<&Vec<TokenLogprob>>,
    ) -> Value {
        let Continued { prompt, seed } = &self.answers[index].continued;
        let Shown { settings, stop, .. } = &self.shown;
        let mut settings = if self.shown.has(SETTINGS) { settings.clone() } else { Value::Null };
        if let Some(shown) = settings.get_mut("seed") {
            *shown = json!(seed);
        }
        let (stop_type, stopping_word) = match reason {
            FinishReason::Stop => ("eos", ""),
            FinishReason::StopString(index) => ("word", stop.get(index).map_or("", String::as_str)),
            FinishReason::Length | FinishReason::Context => ("limit", ""),
            FinishReason::Cancelled => ("none", ""),
        };
        let Usage { prompt_tokens, completion_tokens, .. } = usage.total;
        let mut body = json!({
            "index": index,
            "content": content.text,
            "tokens": numbers(content.tokens),
            "stop": true,
            "model": self.shown.model,
            "tokens_predicted": completion_tokens,
            "tokens_evaluated": prompt_tokens,
            SETTINGS: settings,
            PROMPT: self.shown.has(PROMPT).then_some(&**prompt),
            "has_new_line": content.has_new_line,
            "truncated": reason == FinishReason::Context,
            "stop_type": stop_type,
            "stopping_word": stopping_word,
            // The last token of an answer is not read.
            "tokens_cached": prompt_tokens.saturating_add(completion_tokens.saturating_sub(1)),
            "timings": timings(&[(usage, took)], 1),
        });
        if let (Some((form, piece)), Some(logprobs)) = (&self.shown.probabilities, logprobs) {
            body["completion_probabilities"] = form.write(logprobs, &**piece);
        }
        if self.shown.fields.is_empty() { body } else { selected(&body, &self.shown.fields) }
    }
}

/// The text of a body or of the last chunk.
struct Content<'a> {
    text: &'a str,
    tokens: &'a [Token],
    has_new_line: bool,
}

/// The fields at these paths, whose parts are separated by slashes, under the paths as names.
fn selected(body: &Value, paths: &[String]) -> Value {
    let at = |path: &String| {
        let value = path.split('/').try_fold(body, |value, name| value.get(name))?;
        Some((path.clone(), value.clone()))
    };
    Value::Object(paths.iter().filter_map(at).collect::<Map<_, _>>())
}

fn numbers(tokens: &[Token]) -> Value {
    tokens.iter().map(|token| token.0).collect()
}
