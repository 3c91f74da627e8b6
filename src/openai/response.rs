//! A whole answer as a JSON body.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::endpoint::Endpoint;
use super::parts::{call, finish_reason, timings, usage};
use crate::session::Answer;

/// One of the answers to a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// The answer.
    pub answer: Answer,
    /// Its seed.
    pub seed: u32,
    /// Its logprobs in the form of the endpoint, or null; see [`super::logprobs`].
    pub logprobs: Value,
}

/// The fields with which the body and the chunks begin.
#[derive(Debug, Clone)]
pub struct Head<'a> {
    /// Where the request was sent.
    pub endpoint: Endpoint,
    /// The name of the answer, without the endpoint's prefix.
    pub id: Cow<'a, str>,
    /// Seconds since 1970.
    pub created: u64,
    /// The name of the model.
    pub model: Cow<'a, str>,
    /// The versions of program and engine.
    pub fingerprint: Cow<'a, str>,
}

impl Head<'_> {
    /// The `id` of the answer, with the endpoint's prefix.
    #[must_use]
    pub fn full_id(&self) -> String {
        let prefix = match self.endpoint {
            Endpoint::Chat => "chatcmpl",
            Endpoint::Text => "cmpl",
        };
        format!("{prefix}-{}", self.id)
    }

    /// An object of this type with these choices.
    pub(super) fn object(&self, kind: &str, choices: &[Value]) -> Value {
        json!({
            "id": self.full_id(),
            "object": kind,
            "created": self.created,
            "model": self.model,
            "system_fingerprint": self.fingerprint,
            "choices": choices,
        })
    }
}

/// The body with all answers to a request. So many of them in a row are to the same prompt.
#[must_use]
pub fn body(head: &Head<'_>, choices: &[Choice], per_prompt: u32) -> Value {
    let per_prompt = per_prompt as usize;
    let (kind, choice): (_, fn(usize, &Choice) -> Value) = match head.endpoint {
        Endpoint::Chat => ("chat.completion", chat_choice),
        Endpoint::Text => ("text_completion", text_choice),
    };
    let shown: Vec<Value> = choices.iter().enumerate().map(|(n, c)| choice(n, c)).collect();
    let mut body = head.object(kind, &shown);
    let took: Vec<_> = choices.iter().map(|choice| (choice.answer.usage, choice.answer.timings)).collect();
    body["usage"] = usage(&took.iter().map(|(usage, _)| *usage).collect::<Vec<_>>(), per_prompt);
    body["timings"] = timings(&took, per_prompt);
    body["seed"] = json!(choices.first().map(|choice| choice.seed));
    body
}

fn chat_choice(index: usize, choice: &Choice) -> Value {
    let Choice { answer, logprobs, .. } = choice;
    let calls = !answer.tool_calls.is_empty();
    let mut message = json!({ "role": "assistant" });
    // Calls without text have null as content.
    message["content"] = if calls && answer.content.is_empty() { Value::Null } else { json!(answer.content) };
    if !answer.reasoning.is_empty() {
        message["reasoning_content"] = json!(answer.reasoning);
    }
    if calls {
        message["tool_calls"] = answer.tool_calls.iter().map(call).collect();
    }
    json!({
        "index": index, "message": message, "logprobs": logprobs,
        "finish_reason": finish_reason(answer.reason, calls),
    })
}

fn text_choice(index: usize, choice: &Choice) -> Value {
    let Choice { answer, logprobs, .. } = choice;
    json!({
        "index": index, "text": answer.content, "logprobs": logprobs,
        "finish_reason": finish_reason(answer.reason, false),
    })
}
