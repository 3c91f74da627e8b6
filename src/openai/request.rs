//! A JSON body becomes a request.

use serde_json::{Map, Value, json};

use super::fields::{Fields, wrong};
use super::{Refusal, sampling};
use crate::chat::Message;
use crate::engine::{Grammar, Rules, SamplingParams};
use crate::session::{ChatRequest, TextRequest};

/// Fields that are understood and change nothing here.
pub const IGNORED: [&str; 14] = [
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
    "parallel_tool_calls",
    "verbosity",
    "modalities",
];
/// Copies of an answer that one request may ask for.
const MOST_COPIES: u32 = 128;
/// Likely tokens that a request may ask for beside each chosen one.
const MOST_ALTERNATIVES: u32 = 20;

/// Where a request is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    /// `/v1/chat/completions`: messages.
    Chat,
    /// `/v1/completions`: a text to go on from, as it is.
    Text,
}

/// What holds where a body says nothing.
#[derive(Debug, Clone)]
pub struct Defaults {
    /// How tokens are chosen.
    pub sampling: SamplingParams,
    /// Ends an answer after this many tokens.
    pub max_tokens: Option<u32>,
    /// Texts that end an answer.
    pub stop: Vec<String>,
    /// Functions the model may call.
    pub tools: Vec<Value>,
    /// Variables for the template; a body's own count more.
    pub variables: Map<String, Value>,
    /// Ends the thinking after this many tokens.
    pub reasoning_budget: Option<u32>,
    /// What the model is made to think last then.
    pub reasoning_budget_message: String,
}

impl Defaults {
    /// These parameters, and nothing special.
    #[must_use]
    pub fn new(sampling: SamplingParams) -> Self {
        Self {
            sampling,
            max_tokens: None,
            stop: Vec::new(),
            tools: Vec::new(),
            variables: Map::new(),
            reasoning_budget: None,
            reasoning_budget_message: crate::session::REASONING_BUDGET_MESSAGE.to_owned(),
        }
    }
}

/// A body that was understood.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The request itself.
    pub kind: Kind,
    /// How many answers, with seeds that count up.
    pub copies: u32,
    /// The start of the random numbers, if the body chose one.
    pub seed: Option<u32>,
    /// Fields that nobody knows.
    pub unknown: Vec<String>,
}

/// What is asked for.
#[derive(Debug, Clone)]
pub enum Kind {
    /// The next turn of a conversation.
    Chat(ChatRequest),
    /// The rest of a text.
    Text(TextRequest),
}

impl Asked {
    /// The parameters of sampling.
    #[must_use]
    pub fn sampling(&self) -> &SamplingParams {
        match &self.kind {
            Kind::Chat(request) => &request.sampling,
            Kind::Text(request) => &request.sampling,
        }
    }

    /// The most tokens of an answer.
    #[must_use]
    pub fn max_tokens(&self) -> Option<u32> {
        match &self.kind {
            Kind::Chat(request) => request.max_tokens,
            Kind::Text(request) => request.max_tokens,
        }
    }
}

/// Reads a body.
///
/// # Errors
///
/// When a field is missing or has a value that it cannot have. Whether the values make sense together is for the
/// engine to say.
pub fn read(endpoint: Endpoint, body: Map<String, Value>, defaults: &Defaults) -> Result<Asked, Refusal> {
    let mut fields = Fields::new(body);
    if fields.truth("stream")? == Some(true) {
        return Err(wrong("stream", &Value::Bool(true), "false: nobody reads along"));
    }
    for name in IGNORED {
        fields.take(name);
    }
    let mut sampling = defaults.sampling.clone();
    sampling::read(&mut fields, &mut sampling)?;
    if let Some(rules) = rules(&mut fields)? {
        sampling.grammar = Some(Grammar { rules, after: None });
    }
    let seed = fields.whole("seed", -1)?.and_then(|seed| u32::try_from(seed).ok());
    let copies = fields.count("n")?.unwrap_or(1);
    if !(1..=MOST_COPIES).contains(&copies) {
        return Err(wrong("n", &json!(copies), "a number from 1 to 128"));
    }
    let max_tokens = max_tokens(&mut fields)?.unwrap_or(defaults.max_tokens);
    let mut stop = fields.texts("stop")?.unwrap_or_else(|| defaults.stop.clone());
    stop.retain(|text| !text.is_empty());
    sampling.logprobs = match endpoint {
        Endpoint::Chat => chat_logprobs(&mut fields)?,
        Endpoint::Text => alternatives("logprobs", &mut fields)?,
    };
    let kind = match endpoint {
        Endpoint::Chat => {
            let messages = messages(&mut fields)?;
            let mut request = ChatRequest::new(messages, sampling);
            (request.max_tokens, request.stop) = (max_tokens, stop);
            template(&mut fields, defaults, &mut request)?;
            Kind::Chat(request)
        }
        Endpoint::Text => {
            let prompt = prompt(&mut fields)?;
            for (name, plain) in [("echo", json!(false)), ("best_of", json!(1)), ("suffix", json!(""))] {
                match fields.take(name) {
                    Some(value) if value != plain => return Err(wrong(name, &value, "no such field")),
                    _ => {}
                }
            }
            Kind::Text(TextRequest { prompt, sampling, max_tokens, stop })
        }
    };
    Ok(Asked { kind, copies, seed, unknown: fields.left() })
}

/// The limit, under one of its names; `-1` is none.
#[expect(clippy::option_option, reason = "a limit that is lifted is not one that is not mentioned")]
fn max_tokens(fields: &mut Fields) -> Result<Option<Option<u32>>, Refusal> {
    let mut found = None;
    for name in ["n_predict", "max_tokens", "max_completion_tokens"] {
        let limit = fields.whole(name, -1)?;
        found = limit.map(|limit| u32::try_from(limit).ok()).or(found);
    }
    Ok(found)
}

fn messages(fields: &mut Fields) -> Result<Vec<Message>, Refusal> {
    let list = fields.list("messages")?.ok_or(Refusal::Missing { field: "messages" })?;
    if list.is_empty() {
        return Err(wrong("messages", &Value::Array(list), "at least one message"));
    }
    let read = |(index, message)| {
        let reason = |error: serde_json::Error| format!("message {}: {error}", index + 1);
        serde_json::from_value(message)
            .map_err(|error| Refusal::Shape { field: "messages", reason: reason(error) })
    };
    list.into_iter().enumerate().map(read).collect()
}

/// One text; a list of one is as good.
fn prompt(fields: &mut Fields) -> Result<String, Refusal> {
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(list) => match list.as_slice() {
            [Value::String(text)] => Some(text.clone()),
            _ => None,
        },
        _ => None,
    };
    fields.of("prompt", "one text", text)?.ok_or(Refusal::Missing { field: "prompt" })
}

/// What the template is told besides the messages, and how long the model thinks.
fn template(fields: &mut Fields, defaults: &Defaults, request: &mut ChatRequest) -> Result<(), Refusal> {
    let tools = match fields.list("tools")? {
        Some(tools) => tools.into_iter().enumerate().map(tool).collect::<Result<_, _>>()?,
        None => defaults.tools.clone(),
    };
    let choice = fields.take("tool_choice");
    request.tools = match choice.as_ref().map(|choice| (choice, choice.as_str())) {
        None | Some((_, Some("auto"))) => tools,
        Some((_, Some("none"))) => Vec::new(),
        Some((other, _)) => return Err(wrong("tool_choice", other, "none or auto")),
    };
    request.variables.clone_from(&defaults.variables);
    for (name, value) in fields.object("chat_template_kwargs")?.unwrap_or_default() {
        if TAKEN.contains(&name.as_str()) {
            return Err(wrong(
                "chat_template_kwargs",
                &json!(name),
                "names that the template does not have already",
            ));
        }
        request.variables.insert(name, value);
    }
    if let Some(effort) = fields.text("reasoning_effort")? {
        request.variables.insert("reasoning_effort".to_owned(), Value::String(effort));
    }
    let mut budget = None;
    for name in ["reasoning_budget", "thinking_budget_tokens"] {
        budget = fields.whole(name, -1)?.or(budget);
    }
    request.reasoning_budget = budget.map_or(defaults.reasoning_budget, |budget| u32::try_from(budget).ok());
    let words = fields.text("reasoning_budget_message")?;
    request.reasoning_budget_message = words.unwrap_or_else(|| defaults.reasoning_budget_message.clone());
    Ok(())
}

/// What the template is told by those who render it.
const TAKEN: [&str; 6] =
    ["messages", "tools", "add_generation_prompt", "bos_token", "eos_token", "strftime_now"];

/// A bare function gets the shell that templates expect around it.
fn tool((index, tool): (usize, Value)) -> Result<Value, Refusal> {
    let tool =
        if tool.get("function").is_some() { tool } else { json!({"type": "function", "function": tool}) };
    match tool["function"]["name"].as_str() {
        Some(name) if !name.is_empty() => Ok(tool),
        _ => {
            let reason = format!("tool {} has no function with a name", index + 1);
            Err(Refusal::Shape { field: "tools", reason })
        }
    }
}

/// What the answer must conform to. One field may say it.
fn rules(fields: &mut Fields) -> Result<Option<Rules>, Refusal> {
    let mut found: Option<(&'static str, Rules)> = None;
    let grammar = fields.text("grammar")?.filter(|text| !text.is_empty());
    let schema = fields.of("json_schema", "a JSON schema", schema)?;
    for (field, rules) in [
        ("grammar", grammar.map(Rules::Gbnf)),
        ("json_schema", schema),
        ("response_format", response_format(fields)?),
    ] {
        let Some(rules) = rules else { continue };
        if let Some((other, _)) = found {
            return Err(Refusal::Conflict { field: other, other: field });
        }
        found = Some((field, rules));
    }
    Ok(found.map(|(_, rules)| rules))
}

fn response_format(fields: &mut Fields) -> Result<Option<Rules>, Refusal> {
    let Some(format) = fields.object("response_format")? else { return Ok(None) };
    let given = |found: &Value| {
        schema(found).map(Some).ok_or_else(|| wrong("response_format", found, "a JSON schema"))
    };
    let bare = format.get("schema").filter(|schema| !schema.is_null());
    match format.get("type").and_then(Value::as_str) {
        Some("text") => Ok(None),
        Some("json_object") => given(bare.unwrap_or(&json!({"type": "object"}))),
        Some("json_schema") => {
            let named = format.get("json_schema").and_then(|named| named.get("schema"));
            let found = named.filter(|schema| !schema.is_null()).or(bare);
            found.map_or(Err(Refusal::Missing { field: "response_format.json_schema.schema" }), given)
        }
        _ => Err(wrong("response_format", &Value::Object(format), "type text, json_object or json_schema")),
    }
}

/// A schema is an object, or true.
fn schema(value: &Value) -> Option<Rules> {
    matches!(value, Value::Object(_) | Value::Bool(true)).then(|| Rules::JsonSchema(value.to_string()))
}

fn chat_logprobs(fields: &mut Fields) -> Result<Option<u32>, Refusal> {
    let wanted = fields.truth("logprobs")?.unwrap_or(false);
    match alternatives("top_logprobs", fields)? {
        Some(0) | None => Ok(wanted.then_some(0)),
        Some(top) if wanted => Ok(Some(top)),
        Some(top) => Err(wrong("top_logprobs", &json!(top), "`logprobs` to be true beside it")),
    }
}

fn alternatives(name: &'static str, fields: &mut Fields) -> Result<Option<u32>, Refusal> {
    fields.of(name, "a number from 0 to 20", |value| {
        u32::try_from(value.as_u64()?).ok().filter(|top| *top <= MOST_ALTERNATIVES)
    })
}
