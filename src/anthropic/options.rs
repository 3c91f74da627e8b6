//! The fields of a body that shape its answer.

use serde_json::{Value, json};

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
    let mut thinking = fields.of_object("thinking", whole.clone());
    let found = match thinking.take("type").as_ref().and_then(Value::as_str) {
        Some("enabled") => {
            let missing = Refusal::Missing { field: "thinking.budget_tokens" };
            let budget = thinking.count("budget_tokens")?;
            (Some(ReasoningMode::On), Some(Limit::Tokens(budget.ok_or(missing)?)))
        }
        Some("disabled") => (Some(ReasoningMode::Off), Some(Limit::Tokens(0))),
        Some("adaptive") => (None, None),
        _ => return Err(wrong("thinking", &Value::Object(whole), "type enabled, disabled or adaptive")),
    };
    fields.within(thinking);
    Ok(found)
}

/// The effort of the reasoning, and the schema of the answer.
fn output(fields: &mut Fields) -> Result<(Option<String>, Option<Rules>), Refusal> {
    let mut config = fields.inside("output_config")?;
    let known = |value: &Value| value.as_str().filter(|effort| EFFORTS.contains(effort)).map(str::to_owned);
    let effort = config.of("effort", "low, medium, high, xhigh or max", known)?;
    let named = answer_format(&mut config, "format")?;
    // The name that it had first.
    let rules = match (named, answer_format(fields, "output_format")?) {
        (Some(_), Some(_)) => {
            return Err(Refusal::Conflict { field: "output_config", other: "output_format" });
        }
        (rules, None) | (None, rules) => rules,
    };
    fields.within(config);
    Ok((effort, rules))
}

/// The schema in a format of answers.
fn answer_format(outer: &mut Fields, name: &'static str) -> Result<Option<Rules>, Refusal> {
    let Some(value) = outer.take(name) else { return Ok(None) };
    let mut format = outer.of_object(name, value.as_object().cloned().unwrap_or_default());
    if format.take("type") != Some(json!("json_schema")) {
        return Err(outer.wrong(name, &value, "an object of type json_schema"));
    }
    let found = format.take("schema");
    let rules = found.as_ref().and_then(schema);
    let refused = || format.wrong("schema", found.as_ref().unwrap_or(&Value::Null), "a JSON schema");
    let rules = rules.ok_or_else(refused)?;
    outer.within(format);
    Ok(Some(rules))
}
