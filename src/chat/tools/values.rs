//! Reads values of arguments that are text: the schema of the function gives them a type.

use serde_json::{Number, Value};

use super::parsed::functions;

/// The maximum number of nested schemas of a parameter that are read: they may refer to themselves.
pub(super) const SCHEMAS: u32 = 64;

/// The schema of a function's parameters.
pub(super) fn schema<'a>(name: &str, tools: &'a [Value]) -> Option<&'a Value> {
    functions(tools).find(|function| function["name"] == name)?.get("parameters")
}

/// The value that a text stands for: the text itself if the schema accepts strings or has no such parameter, otherwise
/// a value of the first type that it can be read as.
pub(super) fn value(text: &str, key: &str, schema: Option<&Value>) -> Value {
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
pub(super) fn kinds<'a>(parameter: &'a Value, root: &'a Value) -> Vec<&'a str> {
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
