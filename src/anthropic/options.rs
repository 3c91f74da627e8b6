//! The fields of a body that shape its answer.

use serde_json::{Map, Value, json};

use super::tools;
use crate::engine::Rules;
use crate::openai::{Dropped, Fields, Refusal, read_sampling, schema, template_variables, wrong};
use crate::session::{GenerationOptions, Limit, ReasoningMode};

/// Efforts of the reasoning.
const EFFORTS: [&str; 5] = ["low", "medium", "high", "xhigh", "max"];

/// Takes the options of an answer, and whether it may have more than one call.
pub(super) fn read(fields: &mut Fields, dropped: &mut Dropped) -> Result<(GenerationOptions, bool), Refusal> {
    let (effort, rules) = output(fields)?;
    let (reasoning, reasoning_budget) = thinking(fields)?;
    let tools = tools::read(fields, dropped)?;
    let options = GenerationOptions {
        sampling: read_sampling(fields)?,
        seed: fields.minus_one("seed")?,
        max_tokens: fields.count("max_tokens")?.map(Limit::Tokens),
        stop: fields.of("stop_sequences", "a list of strings", texts)?,
        rules,
        tools: tools.functions,
        tool_choice: tools.choice,
        reasoning,
        template_variables: template_variables(fields, "output_config", effort)?,
        reasoning_budget,
        ..GenerationOptions::default()
    };
    Ok((options, tools.parallel))
}

fn texts(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|text| Some(text.as_str()?.to_owned())).collect()
}

/// Whether the answer has reasoning, and how many tokens of it.
fn thinking(fields: &mut Fields) -> Result<(Option<ReasoningMode>, Option<Limit>), Refusal> {
    let Some(whole) = fields.object("thinking")? else { return Ok((None, None)) };
    let mut thinking = Fields::new(whole.clone());
    let found = match thinking.take("type").as_ref().and_then(Value::as_str) {
        Some("enabled") => {
            let missing = Refusal::Missing { field: "thinking.budget_tokens" };
            let budget = thinking.count("budget_tokens").map_err(|_| {
                wrong(
                    "thinking.budget_tokens",
                    &whole["budget_tokens"],
                    "a whole number from 0 to 4294967295",
                )
            })?;
            (Some(ReasoningMode::On), Some(Limit::Tokens(budget.ok_or(missing)?)))
        }
        Some("disabled") => (Some(ReasoningMode::Off), Some(Limit::Tokens(0))),
        Some("adaptive") => (None, None),
        _ => return Err(wrong("thinking", &Value::Object(whole), "type enabled, disabled or adaptive")),
    };
    fields.within("thinking", thinking);
    Ok(found)
}

/// The effort of the reasoning, and the schema of the answer.
fn output(fields: &mut Fields) -> Result<(Option<String>, Option<Rules>), Refusal> {
    let mut config = Fields::new(fields.object("output_config")?.unwrap_or_default());
    let effort = match config.take("effort") {
        None => None,
        Some(Value::String(effort)) if EFFORTS.contains(&effort.as_str()) => Some(effort),
        Some(other) => return Err(wrong("output_config.effort", &other, "low, medium, high, xhigh or max")),
    };
    let named = config.take("format").map(|value| answer_format("output_config.format", &value, &mut config));
    // The name that it had first.
    let bare = fields.take("output_format").map(|value| answer_format("output_format", &value, fields));
    let rules = match (named.transpose()?, bare.transpose()?) {
        (Some(_), Some(_)) => {
            return Err(Refusal::Conflict { field: "output_config", other: "output_format" });
        }
        (rules, None) | (None, rules) => rules,
    };
    fields.within("output_config", config);
    Ok((effort, rules))
}

/// The schema in a format of answers; its fields that are not taken are among those of the object around it.
fn answer_format(name: &str, value: &Value, outer: &mut Fields) -> Result<Rules, Refusal> {
    let mut format = Fields::new(value.as_object().cloned().unwrap_or_else(Map::new));
    if format.take("type") != Some(json!("json_schema")) {
        return Err(wrong(name, value, "an object of type json_schema"));
    }
    let found = format.take("schema");
    outer.within(name.rsplit('.').next().unwrap_or(name), format);
    let rules = found.as_ref().and_then(schema);
    rules.ok_or_else(|| {
        wrong(&format!("{name}.schema"), found.as_ref().unwrap_or(&Value::Null), "a JSON schema")
    })
}
