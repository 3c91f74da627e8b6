//! Finds the keywords of a function's schema that do not hold for a call in tags, where a value is any text.

use serde_json::Value;

use super::values::SCHEMAS;
use crate::grammar;

/// Keywords that name a schema or a place in it.
const NAMES: [&str; 5] = ["$anchor", "$defs", "$id", "$schema", "definitions"];

/// A part of a function that a call in the syntax of the template cannot be held to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unheld {
    /// A keyword of a schema.
    #[error("{} cannot be enforced in this chat template's call syntax", place(keyword, parameter.as_deref(), function))]
    Keyword {
        /// The keyword.
        keyword: String,
        /// The parameter that has it; `None`: the parameters together.
        parameter: Option<String>,
        /// The name of the function.
        function: String,
    },
    /// The name of a function.
    #[error("the name of function `{name}` cannot be written in this chat template's call syntax")]
    Function {
        /// The name.
        name: String,
    },
    /// The name of a parameter.
    #[error(
        "the name of parameter `{name}` of function `{function}` cannot be written in this chat template's call syntax"
    )]
    Parameter {
        /// The name.
        name: String,
        /// The name of the function.
        function: String,
    },
}

impl Unheld {
    pub(super) fn keyword(function: &str, parameter: Option<&str>, keyword: &str) -> Self {
        let [keyword, function] = [keyword, function].map(str::to_owned);
        Self::Keyword { keyword, parameter: parameter.map(str::to_owned), function }
    }
}

fn place(keyword: &str, parameter: Option<&str>, function: &str) -> String {
    match parameter {
        Some(parameter) => format!("`{keyword}` of parameter `{parameter}` of function `{function}`"),
        None => format!("`{keyword}` of the parameters of function `{function}`"),
    }
}

/// Finds a keyword of all parameters together that does not hold.
pub(super) fn parameters(function: &str, root: &Value) -> Result<(), Unheld> {
    for (key, value) in root.as_object().into_iter().flatten() {
        let holds = match key.as_str() {
            "type" => *value == "object",
            "properties" => true,
            "required" => {
                let names = value.as_array().into_iter().flatten().filter_map(Value::as_str);
                names.into_iter().all(|name| root["properties"].get(name).is_some())
            }
            "additionalProperties" => value.as_object().is_none_or(serde_json::Map::is_empty),
            key => holds_nothing(key),
        };
        if !holds {
            return Err(Unheld::keyword(function, None, key));
        }
    }
    Ok(())
}

/// Finds a keyword of a text that does not hold.
pub(super) fn text(function: &str, parameter: &str, schema: &Value, root: &Value) -> Result<(), Unheld> {
    let mut left = SCHEMAS;
    match unheld(schema, root, &mut left) {
        None => Ok(()),
        Some(keyword) => Err(Unheld::keyword(function, Some(parameter), keyword)),
    }
}

fn unheld<'a>(schema: &'a Value, root: &'a Value, left: &mut u32) -> Option<&'a str> {
    *left = left.checked_sub(1)?;
    schema.as_object()?.iter().find_map(|(key, value)| match key.as_str() {
        "type" => None,
        "minLength" if *value == 0 => None,
        "$ref" => match value.as_str().and_then(|path| root.pointer(path.strip_prefix('#')?)) {
            Some(target) => unheld(target, root, left),
            None => Some(key),
        },
        "anyOf" | "oneOf" | "allOf" => {
            value.as_array().into_iter().flatten().find_map(|one| unheld(one, root, left))
        }
        key if holds_nothing(key) => None,
        key => Some(key),
    })
}

fn holds_nothing(key: &str) -> bool {
    NAMES.contains(&key) || grammar::describes(key)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_text_in_tags_cannot_be_held_to_is_named() {
        let root = json!({"$defs": {"Name": {"type": "string", "maxLength": 5}}});
        for (schema, keyword) in [
            (json!({"type": "string", "title": "T", "x-y": 1, "minLength": 0}), None),
            (json!({"anyOf": [{"type": "string"}, {"type": "null"}], "default": null}), None),
            (json!({"writeOnly": true, "contentSchema": {}, "discriminator": {}, "$comment": "c"}), None),
            (json!({"$defs": {}, "markdownDescription": "m", "deprecated": true, "examples": []}), None),
            (json!({"writeonly": true}), Some("writeonly")),
            (json!({"type": "string", "pattern": "a"}), Some("pattern")),
            (json!({"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}]}), Some("format")),
            (json!({"$ref": "#/$defs/Name"}), Some("maxLength")),
            (json!({"enum": ["a", null]}), Some("enum")),
            (json!({"$ref": "#/nowhere"}), Some("$ref")),
        ] {
            let expected = keyword.map(|keyword| Unheld::keyword("f", Some("p"), keyword));
            assert_eq!(text("f", "p", &schema, &root).err(), expected, "{schema}");
        }
        let found = text("f", "p", &json!({"pattern": "a"}), &root).unwrap_err();
        assert_eq!(
            found.to_string(),
            "`pattern` of parameter `p` of function `f` cannot be enforced in this chat template's call syntax"
        );
    }

    #[test]
    fn what_parameters_in_tags_cannot_be_held_to_is_named() {
        for (schema, keyword) in [
            (
                json!({"type": "object", "properties": {"a": {}}, "required": ["a"], "additionalProperties": false}),
                None,
            ),
            (json!({"additionalProperties": true, "description": "d"}), None),
            (json!({"additionalProperties": {"type": "integer"}}), Some("additionalProperties")),
            (json!({"properties": {}, "required": ["a"]}), Some("required")),
            (json!({"minProperties": 1}), Some("minProperties")),
            (json!({"anyOf": [{"required": ["a"]}]}), Some("anyOf")),
            (json!({"type": "array"}), Some("type")),
        ] {
            let expected = keyword.map(|keyword| Unheld::keyword("f", None, keyword));
            assert_eq!(parameters("f", &schema).err(), expected, "{schema}");
        }
    }
}
