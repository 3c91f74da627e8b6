//! A call as tags within tags. Values are text, which the function's schema gives a type.

use serde_json::{Map, Number, Value};

use super::format::Parsed;
use crate::chat::message::FunctionCall;

pub(super) const FUNCTION: &str = "<function=";
pub(super) const FUNCTION_END: &str = "</function>";
pub(super) const PARAMETER: &str = "<parameter=";
pub(super) const PARAMETER_END: &str = "</parameter>";

/// The maximum number of nested schemas of a parameter that are read: they may refer to themselves.
const SCHEMAS: u32 = 64;

pub(super) fn parse(body: &str, tools: &[Value]) -> Parsed {
    let Some(rest) = body.trim_start().strip_prefix(FUNCTION) else { return Parsed::Malformed };
    let Some((name, mut rest)) = rest.split_once('>') else { return Parsed::Incomplete };
    let name = name.trim();
    if name.is_empty() || name.contains(['<', '\n']) {
        return Parsed::Malformed;
    }
    let schema = schema(name, tools);
    let mut arguments = Map::new();
    loop {
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix(PARAMETER) {
            let Some((key, after)) = after.split_once('>') else { return Parsed::Incomplete };
            let Some((text, after)) = split_value(after) else { return Parsed::Incomplete };
            let key = key.trim();
            arguments.insert(key.to_owned(), value(text, key, schema));
            rest = after;
        } else if let Some(after) = rest.strip_prefix(FUNCTION_END) {
            let call = FunctionCall { name: name.to_owned(), arguments: arguments.into() };
            return if after.trim().is_empty() { Parsed::Call(call) } else { Parsed::Malformed };
        } else {
            return Parsed::Malformed;
        }
    }
}

/// A value and the text after its closing tag. A closing tag that is followed by anything other than the next parameter
/// or the end is part of the value; so are all newlines except one at each end.
fn split_value(text: &str) -> Option<(&str, &str)> {
    let ends = text.match_indices(PARAMETER_END).map(|(at, tag)| (&text[..at], &text[at + tag.len()..]));
    let mut ends = ends.filter(|(_, after)| {
        let next = after.trim_start();
        next.starts_with(PARAMETER)
            || next.strip_prefix(FUNCTION_END).is_some_and(|rest| rest.trim().is_empty())
    });
    let (value, after) = ends.next()?;
    let value = value.strip_prefix('\n').unwrap_or(value);
    Some((value.strip_suffix('\n').unwrap_or(value), after))
}

/// The schema of a function's parameters.
fn schema<'a>(name: &str, tools: &'a [Value]) -> Option<&'a Value> {
    let mut functions = tools.iter().map(|tool| tool.get("function").unwrap_or(tool));
    functions.find(|function| function["name"] == name)?.get("parameters")
}

/// The value that a text stands for: the text itself if the schema accepts strings or has no such parameter, otherwise
/// a value of the first type that it can be read as.
fn value(text: &str, key: &str, schema: Option<&Value>) -> Value {
    let parameter = schema.and_then(|root| Some((root, root.get("properties")?.get(key)?)));
    let mut kinds = parameter.map_or(Vec::new(), |(root, parameter)| kinds(parameter, root));
    if kinds.contains(&"string") {
        // Numbers and booleans may be meant as text; null and JSON hardly ever are.
        kinds.retain(|kind| !matches!(*kind, "integer" | "number" | "boolean"));
    }
    kinds.into_iter().find_map(|kind| read(text.trim(), kind)).unwrap_or_else(|| text.into())
}

/// Whether a parameter accepts any text unchanged.
pub(super) fn is_text(parameter: &Value, root: &Value) -> bool {
    let kinds = kinds(parameter, root);
    kinds.is_empty() || kinds.contains(&"string")
}

/// The types that the schema of a parameter allows, in its order.
fn kinds<'a>(parameter: &'a Value, root: &'a Value) -> Vec<&'a str> {
    let (mut left, mut kinds) = (SCHEMAS, Vec::new());
    collect(parameter, root, &mut left, &mut kinds);
    kinds
}

fn collect<'a>(schema: &'a Value, root: &'a Value, left: &mut u32, kinds: &mut Vec<&'a str>) {
    let Some(fewer) = left.checked_sub(1) else { return };
    *left = fewer;
    match (&schema["type"], schema["enum"].as_array(), schema.get("const")) {
        (Value::String(kind), ..) => kinds.push(kind),
        (Value::Array(several), ..) => kinds.extend(several.iter().filter_map(Value::as_str)),
        (_, Some(values), _) => values.iter().for_each(|value| kinds.push(kind(value))),
        (_, None, Some(value)) => kinds.push(kind(value)),
        (_, None, None) => {}
    }
    if let Some(target) = schema["$ref"].as_str().and_then(|path| root.pointer(path.strip_prefix('#')?)) {
        collect(target, root, left, kinds);
    }
    let choices = ["anyOf", "oneOf", "allOf"].iter().filter_map(|key| schema[key].as_array());
    for choice in choices.flatten() {
        collect(choice, root, left, kinds);
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Reads a text as JSON of a type, or in Python's spelling, which templates print.
fn read(text: &str, kind: &str) -> Option<Value> {
    match kind {
        "null" => matches!(text, "null" | "None").then_some(Value::Null),
        "boolean" => match text {
            "true" | "True" => Some(true.into()),
            "false" | "False" => Some(false.into()),
            _ => None,
        },
        "integer" => text.parse::<Number>().ok().filter(|n| !n.is_f64()).map(Value::Number),
        "number" => text.parse().ok().map(Value::Number),
        "array" => serde_json::from_str(text).ok().filter(Value::is_array),
        "object" => serde_json::from_str(text).ok().filter(Value::is_object),
        _ => None,
    }
}
