//! A request body as data.

use serde_json::{Map, Value, json};

use super::endpoint::Endpoint;
use super::fields::{Dropped, Fields, UnknownField, wrong};
use super::options;
use super::prompts::{self, MOST_ANSWERS};
use super::refusal::Refusal;
use crate::chat::{Content, Message, Role};
use crate::session::{ChatRequest, GenerationOptions, PromptText, TextRequest};

/// Known fields that do not change the answer.
pub const WITHOUT_EFFECT: [&str; 17] = [
    "model",
    "user",
    "metadata",
    "stream",
    "stream_options",
    "store",
    "service_tier",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "cache_prompt",
    "id_slot",
    "return_progress",
    "timings_per_token",
    "verbose",
    "verbosity",
    "modalities",
];
/// Fields of a message with content that no template reads.
const UNREAD: [&str; 3] = ["function_call", "refusal", "audio"];

/// A parsed request body. The front end decides about everything that it leaves open.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// The conversation or text.
    pub prompt: Prompt,
    /// The options of its answer.
    pub options: GenerationOptions,
    /// `n`: the number of answers to each prompt, with consecutive seeds.
    pub choices: u32,
    /// How to stream the answer, if at all.
    pub stream: Option<Stream>,
    /// `verbose`: the body shows the rendered prompt as well.
    pub verbose: bool,
    /// `continue_final_message`: continues the last message instead of answering it; `None` leaves it to the front end.
    pub continue_final: Option<bool>,
    /// `parallel_tool_calls`: allows more than one call.
    pub parallel_tool_calls: bool,
    /// `model`: the name of the model.
    pub model: Option<String>,
    /// Unknown fields.
    pub unknown: Vec<UnknownField>,
    /// Values that would change the answer and are not supported.
    pub unsupported: Vec<Refusal>,
}

impl Asked {
    /// Takes unset options from `defaults`.
    #[must_use]
    pub fn over(self, defaults: &GenerationOptions) -> Self {
        Self { options: self.options.over(defaults), ..self }
    }

    /// The conversation, which a request to continue texts does not have.
    #[must_use]
    pub fn messages(&self) -> &[Message] {
        match &self.prompt {
            Prompt::Chat(messages) => messages,
            Prompt::Text(_) => &[],
        }
    }

    /// A request to continue its first text. `seed` is used unless one is set.
    #[must_use]
    pub fn text_request(&self, seed: u32) -> TextRequest {
        let text = match &self.prompt {
            Prompt::Text(texts) => texts.first().cloned(),
            Prompt::Chat(_) => None,
        };
        self.options.text_request(text.unwrap_or_default(), seed)
    }

    /// A request to answer its conversation. `seed` is used unless one is set.
    #[must_use]
    pub fn chat_request(&self, seed: u32) -> ChatRequest {
        ChatRequest {
            continue_final: self.continue_final.unwrap_or(false),
            parallel_tool_calls: self.parallel_tool_calls,
            ..self.options.chat_request(self.messages().to_vec(), seed)
        }
    }
}

/// The conversation or text of a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Prompt {
    /// A conversation to answer.
    Chat(Vec<Message>),
    /// Texts to continue, each with as many answers as [`Asked::choices`].
    Text(Vec<PromptText>),
}

/// How an answer is streamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stream {
    /// `stream_options.include_usage`: ends the stream with a chunk for the usage.
    pub include_usage: bool,
    /// `return_progress`: chunks for the progress of the prompt.
    pub progress: bool,
    /// `timings_per_token`: the timings so far in every chunk.
    pub timings: bool,
}

/// Reads a body.
///
/// # Errors
///
/// When a field is missing or its value has the wrong type or range. Sampling values, grammars and schemas are
/// checked by the engine.
pub fn read(endpoint: Endpoint, body: Map<String, Value>) -> Result<Asked, Refusal> {
    take(endpoint, Fields::new(body))
}

/// Reads what is left of a body.
pub(super) fn take(endpoint: Endpoint, mut body: Fields) -> Result<Asked, Refusal> {
    let (fields, mut dropped) = (&mut body, Dropped::default());
    let stream = stream(fields)?;
    let verbose = fields.truth("verbose")?.unwrap_or(false);
    let parallel_tool_calls = fields.truth("parallel_tool_calls")?.unwrap_or(true);
    let model = fields.take("model").and_then(|name| Some(name.as_str()?.to_owned()));
    let unsupported = [
        unless(fields, "verbosity", &json!("medium"), "medium"),
        unless(fields, "modalities", &json!(["text"]), "[\"text\"]"),
    ];
    for name in WITHOUT_EFFECT {
        fields.take(name);
    }
    if endpoint == Endpoint::Chat {
        refuse_unless(fields, "functions", &json!([]), "an empty list: functions are given in `tools`")?;
    }
    let options = options::read(endpoint, fields, &mut dropped)?;
    let count = fields.count("n")?.unwrap_or(1);
    let (prompt, continue_final) = match endpoint {
        Endpoint::Chat => {
            let messages = messages(fields)?;
            let continue_final = continue_final(fields, &messages)?;
            (Prompt::Chat(messages), continue_final)
        }
        Endpoint::Text => {
            let texts = prompts::read(fields, &mut dropped)?;
            refuse_unless(fields, "echo", &json!(false), "false")?;
            refuse_unless(fields, "best_of", &json!(1), "1")?;
            refuse_unless(fields, "suffix", &json!(""), "an empty string")?;
            (Prompt::Text(texts), None)
        }
    };
    let choices = choices("n", count, &prompt)?;
    let mut unknown = body.unknown();
    unknown.extend(dropped.fields());
    Ok(Asked {
        prompt,
        options,
        choices,
        stream,
        verbose,
        continue_final,
        parallel_tool_calls,
        model,
        unknown,
        unsupported: unsupported.into_iter().flatten().collect(),
    })
}

/// Checks the number of answers to each prompt.
pub(super) fn choices(name: &'static str, count: u32, prompt: &Prompt) -> Result<u32, Refusal> {
    let prompts = match prompt {
        Prompt::Chat(_) => 1,
        Prompt::Text(texts) => texts.len(),
    };
    if !(1..=MOST_ANSWERS).contains(&count) {
        return Err(wrong(name, &json!(count), "a number from 1 to 128"));
    }
    if prompts.saturating_mul(count as usize) > MOST_ANSWERS as usize {
        let found = format!("{prompts} prompts with {count} answers each");
        return Err(Refusal::Count { field: "prompt", found, expected: "at most 128 answers in all" });
    }
    Ok(count)
}

/// Whether and how to stream.
pub(super) fn stream(fields: &mut Fields) -> Result<Option<Stream>, Refusal> {
    let wanted = fields.truth("stream")?.unwrap_or(false);
    let progress = fields.truth("return_progress")?.unwrap_or(false);
    let timings = fields.truth("timings_per_token")?.unwrap_or(false);
    let mut options = fields.inside("stream_options")?;
    let include_usage = options.truth("include_usage")?.unwrap_or(false);
    // It pads chunks, and has no effect on the answer.
    options.take("include_obfuscation");
    fields.within(options);
    Ok(wanted.then_some(Stream { include_usage, progress, timings }))
}

fn messages(fields: &mut Fields) -> Result<Vec<Message>, Refusal> {
    let list = fields.list("messages")?.ok_or(Refusal::Missing { field: "messages" })?;
    if list.is_empty() {
        return Err(wrong("messages", &Value::Array(list), "at least one message"));
    }
    let read = |(index, message)| {
        let refusal = |reason: String| Refusal::Shape {
            field: "messages",
            reason: format!("message {}: {reason}", index + 1),
        };
        role(&message).map_err(refusal)?;
        let message: Message = serde_json::from_value(message).map_err(|error| refusal(error.to_string()))?;
        check(&message).map_err(refusal)?;
        Ok(message)
    };
    list.into_iter().enumerate().map(read).collect()
}

/// Checks the role of a message.
fn role(message: &Value) -> Result<(), String> {
    let found = match message.get("role") {
        Some(Value::String(name)) if Role::NAMES.contains(&name.as_str()) => return Ok(()),
        None if message.is_object() => return Err("`role` is missing".to_owned()),
        None => return Err("it is not an object".to_owned()),
        Some(other) => other,
    };
    Err(wrong("role", found, "system, developer, user, assistant or tool").to_string())
}

/// Checks that a message has content, and only such content as a template can write.
fn check(message: &Message) -> Result<(), String> {
    let texts = message.content.texts().map_err(|error| error.to_string())?;
    if let Some(name) =
        UNREAD.into_iter().find(|name| message.more.get(*name).is_some_and(|it| !it.is_null()))
    {
        return Err(format!("`{name}` is not supported"));
    }
    let instead =
        message.role == Role::Assistant && (!message.tool_calls.is_empty() || message.has_reasoning());
    match &message.content {
        Content::Absent | Content::Null if !instead => Err("`content` is missing".to_owned()),
        Content::Parts(_) if texts.is_empty() && !instead => Err("`content` has no parts".to_owned()),
        _ => Ok(()),
    }
}

/// Whether the last message is continued, according to vLLM's two fields.
fn continue_final(fields: &mut Fields, messages: &[Message]) -> Result<Option<bool>, Refusal> {
    let continued = fields.truth("continue_final_message")?;
    let prompted = fields.truth("add_generation_prompt")?;
    match (continued.unwrap_or(false), prompted) {
        (true, Some(true)) => {
            Err(Refusal::Conflict { field: "continue_final_message", other: "add_generation_prompt" })
        }
        (false, Some(false)) => {
            let expected = "true, or `continue_final_message` as well";
            Err(wrong("add_generation_prompt", &Value::Bool(false), expected))
        }
        (true, _) if messages.last().is_none_or(|last| last.role != Role::Assistant) => {
            let expected = "false, as the last message is not the assistant's";
            Err(wrong("continue_final_message", &Value::Bool(true), expected))
        }
        _ => Ok(continued.or(prompted.map(|_| false))),
    }
}

/// Refuses every value of a field except its default.
fn refuse_unless(
    fields: &mut Fields,
    name: &'static str,
    default: &Value,
    expected: &'static str,
) -> Result<(), Refusal> {
    unless(fields, name, default, expected).map_or(Ok(()), Err)
}

/// The refusal of a field that does not have its default.
fn unless(
    fields: &mut Fields,
    name: &'static str,
    default: &Value,
    expected: &'static str,
) -> Option<Refusal> {
    fields.take(name).filter(|value| value != default).map(|value| wrong(name, &value, expected))
}
