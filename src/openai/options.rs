//! The fields of a body that shape its answer.

use serde_json::{Map, Value, json};

use super::endpoint::Endpoint;
use super::fields::{Dropped, Fields, wrong};
use super::refusal::Refusal;
use super::sampling;
use crate::engine::Rules;
use crate::session::{GenerationOptions, Limit, Logprobs, ToolChoice, functions, variables};

/// The maximum number of alternatives for each chosen token.
const MOST_ALTERNATIVES: u32 = 20;
/// The field of the effort of the reasoning, and the template's variable for it.
const EFFORT: &str = "reasoning_effort";

/// Takes the options of an answer. Those of the chat template are taken only from a chat.
pub(super) fn read(
    endpoint: Endpoint,
    fields: &mut Fields,
    dropped: &mut Dropped,
) -> Result<GenerationOptions, Refusal> {
    let mut options = GenerationOptions {
        sampling: sampling::read(fields)?,
        seed: fields.minus_one("seed")?,
        max_tokens: limit(fields, &["n_predict", "max_tokens", "max_completion_tokens"])?,
        stop: fields.texts("stop")?,
        rules: rules(fields, None)?,
        ..GenerationOptions::default()
    };
    match endpoint {
        Endpoint::Text => {
            options.logprobs = alternatives("logprobs", fields)?.map(Logprobs::Top);
        }
        Endpoint::Chat => {
            options.logprobs = logprobs(fields)?;
            template(fields, &mut options, dropped)?;
        }
    }
    Ok(options)
}

/// A limit under its names, which must agree.
pub(super) fn limit(fields: &mut Fields, names: &[&'static str]) -> Result<Option<Limit>, Refusal> {
    let mut found: Option<(&'static str, Limit)> = None;
    for name in names {
        let Some(limit) = fields.minus_one(name)? else { continue };
        match found {
            Some((other, before)) if before != limit => {
                return Err(Refusal::Conflict { field: other, other: name });
            }
            _ => found = Some((name, limit)),
        }
    }
    Ok(found.map(|(_, limit)| limit))
}

/// Tools, variables and reasoning.
fn template(
    fields: &mut Fields,
    options: &mut GenerationOptions,
    dropped: &mut Dropped,
) -> Result<(), Refusal> {
    options.tools = fields.list("tools")?.map(functions).transpose()?;
    options.tool_choice = tool_choice(fields)?;
    let is_strict = options.tools.iter().flatten().any(is_strict);
    dropped.strict(is_strict, options.tool_choice.as_ref());
    let effort = fields.text(EFFORT)?;
    reasoning(fields, options, (EFFORT, effort))
}

/// Variables and reasoning. `effort` is the effort, under the name of its field.
pub(super) fn reasoning(
    fields: &mut Fields,
    options: &mut GenerationOptions,
    (field, effort): (&'static str, Option<String>),
) -> Result<(), Refusal> {
    options.template_variables = template_variables(fields, field, effort)?;
    options.reasoning_budget = limit(fields, &["reasoning_budget", "thinking_budget_tokens"])?;
    if options.turns_reasoning_off() {
        match options.reasoning_budget.replace(Limit::Tokens(0)) {
            None | Some(Limit::Tokens(0)) => {}
            Some(_) => return Err(Refusal::Conflict { field, other: "reasoning_budget" }),
        }
    }
    options.reasoning_budget_message = fields.text("reasoning_budget_message")?;
    Ok(())
}

/// The variables of the template, with the effort of the reasoning, which the field `source` has.
pub(crate) fn template_variables(
    fields: &mut Fields,
    source: &'static str,
    effort: Option<String>,
) -> Result<Map<String, Value>, Refusal> {
    let given = fields.object("chat_template_kwargs")?.unwrap_or_default();
    let mut given = variables(given).map_err(|reserved| {
        wrong("chat_template_kwargs", &json!(reserved.name), "variables that are not reserved")
    })?;
    if let Some(effort) = effort.map(Value::String) {
        let variable = given.entry(EFFORT).or_insert_with(|| effort.clone());
        if *variable != effort {
            return Err(Refusal::Conflict { field: "chat_template_kwargs", other: source });
        }
    }
    Ok(given)
}

/// Whether the schema of a function is to be held in each of its calls.
pub(super) fn is_strict(tool: &Value) -> bool {
    tool["function"]["strict"] == Value::Bool(true)
}

fn tool_choice(fields: &mut Fields) -> Result<Option<ToolChoice>, Refusal> {
    let Some(value) = fields.take("tool_choice") else { return Ok(None) };
    let refused = || wrong("tool_choice", &value, "none, auto, required or a named function");
    let object = match &value {
        Value::String(name) => return mode(name).map(Some).ok_or_else(refused),
        Value::Object(object) => object,
        _ => return Err(refused()),
    };
    let mut choice = fields.of_object("tool_choice", object.clone());
    if choice.take("type").is_some_and(|kind| kind != "function") {
        return Err(refused());
    }
    let name = named(&mut choice).ok_or_else(refused)?;
    fields.within(choice);
    Ok(Some(ToolChoice::Function(name)))
}

/// A choice of tools that is a word.
pub(super) fn mode(name: &str) -> Option<ToolChoice> {
    match name {
        "auto" => Some(ToolChoice::Auto),
        "none" => Some(ToolChoice::None),
        "required" => Some(ToolChoice::Required),
        _ => None,
    }
}

/// The name in the `function` of a choice.
pub(super) fn named(choice: &mut Fields) -> Option<String> {
    let Some(Value::Object(function)) = choice.take("function") else { return None };
    let mut function = choice.of_object("function", function);
    let name = function.text("name").ok().flatten()?;
    choice.within(function);
    Some(name)
}

/// The grammar or schema, from one of its fields. `format` is the field of an endpoint that has another than
/// `response_format`.
pub(super) fn rules(
    fields: &mut Fields,
    format: Option<(&'static str, Option<Rules>)>,
) -> Result<Option<Rules>, Refusal> {
    let mut found: Option<(&'static str, Rules)> = None;
    let grammar = fields.text("grammar")?.filter(|text| !text.is_empty());
    let schema = fields.of("json_schema", "a JSON schema", schema)?;
    let format = match format {
        Some(format) => format,
        None => ("response_format", response_format(fields)?),
    };
    for (field, rules) in [("grammar", grammar.map(Rules::Gbnf)), ("json_schema", schema), format] {
        let Some(rules) = rules else { continue };
        if let Some((other, _)) = found {
            return Err(Refusal::Conflict { field: other, other: field });
        }
        found = Some((field, rules));
    }
    Ok(found.map(|(_, rules)| rules))
}

fn response_format(fields: &mut Fields) -> Result<Option<Rules>, Refusal> {
    let Some(whole) = fields.object("response_format")? else { return Ok(None) };
    let kind = whole.get("type").and_then(Value::as_str).unwrap_or_default();
    let mut format = fields.of_object("response_format", whole.clone());
    format.take("type");
    let is_schema = "a JSON schema";
    let found = match kind {
        "text" => None,
        "json_object" => Some(format.of("schema", is_schema, schema)?.unwrap_or_else(any_object)),
        "json_schema" => {
            let mut named = format.inside("json_schema")?;
            let within = named.of("schema", is_schema, schema)?;
            let schema = match within {
                None => format.of("schema", is_schema, schema)?,
                within => within,
            };
            // They describe the schema, and every schema is held strictly.
            for name in ["name", "description", "strict"] {
                named.take(name);
                format.take(name);
            }
            format.within(named);
            let missing = Refusal::Missing { field: "response_format.json_schema.schema" };
            Some(schema.ok_or(missing)?)
        }
        _ => {
            return Err(wrong(
                "response_format",
                &Value::Object(whole),
                "type text, json_object or json_schema",
            ));
        }
    };
    fields.within(format);
    Ok(found)
}

fn any_object() -> Rules {
    Rules::JsonSchema(json!({"type": "object"}).to_string())
}

/// A schema is an object, or true.
pub(crate) fn schema(value: &Value) -> Option<Rules> {
    matches!(value, Value::Object(_) | Value::Bool(true)).then(|| Rules::JsonSchema(value.to_string()))
}

fn logprobs(fields: &mut Fields) -> Result<Option<Logprobs>, Refusal> {
    let wanted = fields.truth("logprobs")?;
    match (wanted, alternatives("top_logprobs", fields)?) {
        (Some(true), top) => Ok(Some(Logprobs::Top(top.unwrap_or(0)))),
        (_, Some(top)) if top > 0 => Err(wrong("top_logprobs", &json!(top), "`logprobs: true` as well")),
        (wanted, _) => Ok(wanted.map(|_| Logprobs::Off)),
    }
}

fn alternatives(name: &'static str, fields: &mut Fields) -> Result<Option<u32>, Refusal> {
    fields.of(name, "a number from 0 to 20", |value| {
        u32::try_from(value.as_u64()?).ok().filter(|top| *top <= MOST_ALTERNATIVES)
    })
}
