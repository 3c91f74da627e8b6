//! Values of keywords that are not schemas.

use serde_json::{Map, Value};

use super::keywords;
use super::numbers;

/// A length of a text or a list, and a number of properties.
const MOST: u64 = 100_000;
const TYPES: [&str; 7] = ["null", "boolean", "number", "integer", "string", "array", "object"];
const DRAFTS: [&str; 5] = [
    "json-schema.org/draft/2020-12/schema",
    "json-schema.org/draft/2019-09/schema",
    "json-schema.org/draft-07/schema",
    "json-schema.org/draft-06/schema",
    "json-schema.org/draft-04/schema",
];

/// A value that is written as it is.
pub(super) fn constant(value: &Value) -> Result<Value, String> {
    Ok(match value {
        Value::Number(_) => numbers::exact(value)?.into(),
        Value::String(text) => {
            let is_control = |c: char| c.is_ascii_control() && !"\n\r\t\u{8}\u{c}".contains(c);
            if let Some(control) = text.chars().find(|c| is_control(*c)) {
                return Err(format!("a text has the control character U+{:04X}", u32::from(control)));
            }
            value.clone()
        }
        Value::Array(list) => Value::Array(list.iter().map(constant).collect::<Result<_, _>>()?),
        Value::Object(object) => {
            let each = object.iter().map(|(key, value)| Ok((key.clone(), constant(value)?)));
            Value::Object(each.collect::<Result<_, String>>()?)
        }
        Value::Null | Value::Bool(_) => value.clone(),
    })
}

/// The least of a length or a number, which is not above the most of `object`.
pub(super) fn least(key: &str, value: &Value, object: &Map<String, Value>) -> Result<u64, String> {
    let least = numbers::count(value, MOST)?;
    let other = key.replace("min", "max");
    if let Some(most) = object.get(&other).and_then(Value::as_u64).filter(|most| *most < least) {
        return Err(format!("it is {least}, above `{other}`, which is {most}"));
    }
    let required = object.get("required").and_then(Value::as_array).map_or(0, Vec::len);
    if key == "minProperties" && least > required as u64 + 1 {
        return Err(format!(
            "it is {least}, expected at most one more than the {required} names in `required`: \
             a name that is written twice counts once"
        ));
    }
    Ok(least)
}

/// The most of a length or a number; `None` if no answer has as many.
pub(super) fn most(value: &Value) -> Result<Option<u64>, String> {
    Ok(Some(numbers::count(value, u64::MAX)?).filter(|most| *most <= MOST))
}

/// Whether a keyword that is not held says nothing with this value.
pub(super) fn has_no_effect(key: &str, value: &Value) -> bool {
    match key {
        "uniqueItems" => *value == false,
        "unevaluatedItems" | "unevaluatedProperties" => *value == true,
        _ => false,
    }
}

/// Whether a schema says that a value is an integer, and nothing else.
pub(super) fn is_plain_integer(schema: &Value) -> bool {
    let Value::Object(object) = schema else { return false };
    schema["type"] == "integer" && object.keys().all(|key| key == "type" || keywords::describes(key))
}

/// Whether the type of a schema excludes strings, as in `{"type": "integer", "format": "int64"}`.
pub(super) fn excludes_texts(object: &Map<String, Value>) -> bool {
    match object.get("type") {
        Some(Value::String(kind)) => kind != "string",
        Some(Value::Array(kinds)) => kinds.iter().all(|kind| kind != "string"),
        _ => false,
    }
}

/// Refuses the name of a draft that is not known.
pub(super) fn known_draft(value: &Value) -> Result<(), String> {
    let name = value.as_str().ok_or("expected a text")?;
    let bare = name.strip_prefix("https://").or_else(|| name.strip_prefix("http://")).unwrap_or(name);
    if DRAFTS.contains(&bare.trim_end_matches('#')) {
        Ok(())
    } else {
        Err(format!("`{name}` is not supported, expected `https://{}`", DRAFTS[0]))
    }
}

/// The types of a value.
pub(super) fn types(value: &Value) -> Result<Value, String> {
    let one = std::slice::from_ref(value);
    let all = value.as_array().map_or(one, Vec::as_slice);
    if all.is_empty() {
        return Err("expected a list that is not empty".to_owned());
    }
    for kind in all {
        if !kind.as_str().is_some_and(|kind| TYPES.contains(&kind)) {
            return Err(format!("it is `{kind}`, expected one of `{}`", TYPES.join("`, `")));
        }
    }
    Ok(value.clone())
}
