//! Texts and schemas as parts of a grammar in Lark.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

/// The name of all parameters together, where a parameter's schema refers to them.
const PARAMETERS: &str = "parameters";

/// A rule for any text without a tag, and the tag behind it.
pub(super) fn text_before(tag: &str) -> String {
    let end = pattern(tag);
    format!("TEXT: (/(?s:.*)/ & ~/(?s:.*){end}(?s:.*)/) /{end}/\n")
}

/// The names of the parameters that are required.
pub(super) fn required(root: &Value) -> Vec<&str> {
    let names = root.get("required").and_then(Value::as_array);
    names.into_iter().flatten().filter_map(Value::as_str).collect()
}

/// The parameters and their schemas.
pub(super) fn properties(root: &Value) -> impl Iterator<Item = (&String, &Value)> {
    root.get("properties").and_then(Value::as_object).into_iter().flat_map(Map::iter)
}

/// Whether there may be parameters that are not listed.
pub(super) fn takes_more(root: &Value) -> bool {
    root.get("additionalProperties").is_some_and(|more| more.is_object() || *more == true)
}

/// The texts that a parameter may be, if its schema lists texts only.
pub(super) fn choices(schema: &Value) -> Option<Vec<&str>> {
    let one = schema.get("const").map(std::slice::from_ref);
    let choices = one.or_else(|| schema.get("enum")?.as_array().map(Vec::as_slice));
    choices?.iter().map(Value::as_str).collect()
}

/// The schema of a parameter as one of its own: what its references lead to is among its definitions.
pub(super) fn apart(schema: &Value, root: &Value) -> Value {
    let mut made = rebased(schema);
    if made != *schema
        && let Value::Object(fields) = &mut made
    {
        fields.insert("$defs".to_owned(), json!({ PARAMETERS: rebased(root) }));
    }
    made
}

/// A schema whose references lead to the definition [`PARAMETERS`] instead of the root.
fn rebased(schema: &Value) -> Value {
    match schema {
        Value::Object(fields) => {
            let each = fields.iter().map(|(key, value)| match value.as_str().filter(|_| key == "$ref") {
                Some(path) if path == "#" || path.starts_with("#/") => {
                    (key.clone(), format!("#/$defs/{PARAMETERS}{}", &path[1..]).into())
                }
                _ => (key.clone(), rebased(value)),
            });
            Value::Object(each.collect())
        }
        Value::Array(list) => list.iter().map(rebased).collect(),
        value => value.clone(),
    }
}

/// A text in Lark.
pub(super) fn literal(text: &str) -> String {
    Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

/// A text as literals and the rules of the tags in it.
pub(super) fn sequence(text: &str, tags: &[(&str, &str)]) -> String {
    let (mut parts, mut rest) = (Vec::new(), text);
    while !rest.is_empty() {
        let found = tags.iter().filter_map(|(name, tag)| Some((rest.find(tag)?, name, tag.len())));
        let Some((at, name, length)) = found.min() else {
            parts.push(literal(rest));
            break;
        };
        parts.extend((at > 0).then(|| literal(&rest[..at])));
        parts.push((*name).to_owned());
        rest = &rest[at + length..];
    }
    parts.join(" ")
}

/// A text as a regular expression of Lark.
pub(super) fn pattern(text: &str) -> String {
    let mut out = String::new();
    for character in text.chars() {
        if character.is_ascii_alphanumeric() {
            out.push(character);
        } else {
            write!(out, "\\x{{{:x}}}", u32::from(character)).expect("a string takes all text");
        }
    }
    out
}
