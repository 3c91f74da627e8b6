//! A request body as data.

use serde_json::{Map, Value, json};

use super::input;
use super::tools;
use crate::engine::Rules;
use crate::openai::fields::{Dropped, Fields, wrong};
use crate::openai::options;
use crate::openai::refusal::Refusal;
use crate::openai::request::{self, Asked, Prompt};
use crate::openai::sampling;
use crate::session::GenerationOptions;

/// Known fields that do not change the answer. Nothing is stored, and there are no tools that the server calls itself.
const WITHOUT_EFFECT: [&str; 10] = [
    "client_metadata",
    "max_tool_calls",
    "metadata",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "safety_identifier",
    "service_tier",
    "store",
    "cache_prompt",
];
/// Fields that the response repeats, null if they are not set.
const REPEATED: [&str; 9] = [
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "prompt_cache_key",
    "safety_identifier",
    "temperature",
    "top_p",
    "user",
    "metadata",
];
/// Outputs that requests can ask for in `include`. The others are of tools that the server does not have.
const LOGPROBS: &str = "message.output_text.logprobs";
const REASONING: &str = "reasoning.encrypted_content";

/// A parsed request body.
#[derive(Debug, Clone, PartialEq)]
pub struct AskedResponse {
    /// The conversation and the options of its answer.
    pub asked: Asked,
    /// Fields that the response repeats.
    pub repeated: Map<String, Value>,
    /// `include` asks for reasoning in a form that the client sends back.
    pub carries_reasoning: bool,
}

/// Reads a body.
///
/// # Errors
///
/// When a field is missing, or its value has the wrong type or range or is not supported.
pub fn read(body: Map<String, Value>) -> Result<AskedResponse, Refusal> {
    let mut repeated: Map<String, Value> = REPEATED
        .iter()
        .map(|name| ((*name).to_owned(), body.get(*name).cloned().unwrap_or(Value::Null)))
        .collect();
    let (mut fields, mut dropped) = (Fields::new(body), Dropped::default());
    refuse_stored(&mut fields)?;
    let stream = request::stream(&mut fields)?;
    let model = fields.text("model")?;
    fields.text("user")?;
    let parallel_tool_calls = fields.truth("parallel_tool_calls")?.unwrap_or(true);
    let mut options = GenerationOptions {
        sampling: sampling::read(&mut fields)?,
        seed: fields.minus_one("seed")?,
        max_tokens: options::limit(&mut fields, &["max_output_tokens"])?,
        stop: fields.texts("stop")?,
        ..GenerationOptions::default()
    };
    let carries_reasoning = include(&mut fields)?;
    let tools = tools::read(&mut fields, &mut dropped)?;
    (options.tools, options.tool_choice) = (tools.functions, tools.choice);
    let (format, rules) = text(&mut fields, &mut dropped)?;
    options.rules = options::rules(&mut fields, Some(("text.format", rules)))?;
    let effort = reasoning(&mut fields)?;
    options::reasoning(&mut fields, &mut options, ("reasoning.effort", effort.clone()))?;
    repeated.extend([
        ("parallel_tool_calls".to_owned(), json!(parallel_tool_calls)),
        ("reasoning".to_owned(), json!({ "effort": effort, "summary": null })),
        ("text".to_owned(), json!({ "format": format })),
        ("tool_choice".to_owned(), tools.shown_choice),
        ("tools".to_owned(), Value::Array(tools.shown)),
    ]);
    let instructions = fields.text("instructions")?;
    let messages = input::read(&mut fields, instructions, &mut dropped)?;
    for name in WITHOUT_EFFECT {
        fields.take(name);
    }
    let mut unknown = fields.unknown();
    unknown.extend(dropped.fields());
    let asked = Asked {
        prompt: Prompt::Chat(messages),
        options,
        choices: 1,
        stream,
        verbose: false,
        continue_final: None,
        parallel_tool_calls,
        model,
        unknown,
        unsupported: Vec::new(),
    };
    Ok(AskedResponse { asked, repeated, carries_reasoning })
}

/// Refuses what depends on stored responses, and `truncation`.
fn refuse_stored(fields: &mut Fields) -> Result<(), Refusal> {
    for name in ["previous_response_id", "conversation", "prompt"] {
        if let Some(value) = fields.take(name) {
            return Err(wrong(
                name,
                &value,
                "null, as nothing is stored: send the whole conversation as `input`",
            ));
        }
    }
    for (name, only) in [("background", json!(false)), ("truncation", json!("disabled"))] {
        if let Some(value) = fields.take(name).filter(|value| *value != only) {
            let expected = if only.is_string() { "disabled" } else { "false" };
            return Err(wrong(name, &value, expected));
        }
    }
    Ok(())
}

/// Checks the additional outputs that are requested, and whether reasoning is among them.
fn include(fields: &mut Fields) -> Result<bool, Refusal> {
    let list = fields.list("include")?.unwrap_or_default();
    if list.iter().any(|name| name == LOGPROBS) {
        return Err(wrong("include", &json!(LOGPROBS), "outputs without logprobs"));
    }
    match fields.count("top_logprobs")? {
        Some(top) if top > 0 => Err(wrong("top_logprobs", &json!(top), "0")),
        _ => Ok(list.iter().any(|name| name == REASONING)),
    }
}

/// `text`: the format as it is repeated, and its rules.
fn text(fields: &mut Fields, dropped: &mut Dropped) -> Result<(Value, Option<Rules>), Refusal> {
    let mut text = fields.inside("text")?;
    if text.text("verbosity")?.is_some_and(|verbosity| verbosity != "medium") {
        dropped.add("text.verbosity");
    }
    let Some(whole) = text.object("format")? else {
        fields.within(text);
        return Ok((json!({ "type": "text" }), None));
    };
    let mut format = text.of_object("format", whole.clone());
    let kind = format.text("type")?;
    let schema = match kind.as_deref() {
        Some("text") => None,
        Some("json_object") => Some(json!({ "type": "object" })),
        Some("json_schema") => {
            // They describe the schema, and every schema is held strictly.
            for name in ["name", "description", "strict"] {
                format.take(name);
            }
            Some(format.take("schema").ok_or(Refusal::Missing { field: "text.format.schema" })?)
        }
        _ => {
            let expected = "type text, json_object or json_schema";
            return Err(text.wrong("format", &Value::Object(whole), expected));
        }
    };
    let rules = match schema {
        Some(schema) => {
            let rules = options::schema(&schema);
            Some(rules.ok_or_else(|| format.wrong("schema", &schema, "a JSON schema"))?)
        }
        None => None,
    };
    text.within(format);
    fields.within(text);
    Ok((Value::Object(whole), rules))
}

/// `reasoning.effort`. Summaries are not written, whatever is requested.
fn reasoning(fields: &mut Fields) -> Result<Option<String>, Refusal> {
    let mut reasoning = fields.inside("reasoning")?;
    let effort = reasoning.text("effort")?;
    for name in ["summary", "generate_summary"] {
        reasoning.take(name);
    }
    fields.within(reasoning);
    Ok(effort)
}
