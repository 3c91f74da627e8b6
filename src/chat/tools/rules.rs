//! The grammar of an answer that has to call functions, in the format of its template.
//!
//! In the tags of [`ToolFormat::Xml`], a text is unconstrained except for its closing tag: schemas with lengths, patterns
//! and formats of strings are refused there.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::format::{CLOSE, OPEN, ToolFormat};
use super::held::{self, Unheld};
use super::xml;

/// The name of all parameters together, where a parameter's schema refers to them.
const PARAMETERS: &str = "parameters";

/// A grammar in Lark, parts of which are JSON schemas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallRules {
    /// The rules, beginning with `start`. A schema is named `@name`.
    pub lark: String,
    /// The names of the schemas, and the schemas as JSON.
    pub schemas: Vec<(String, String)>,
    /// The rules that stand for tags, and the tags' texts.
    pub tags: Vec<(String, String)>,
}

/// The functions that an answer calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Calls<'a> {
    /// One or more calls of any functions.
    Any,
    /// One call of any function.
    AnyOnce,
    /// One call of this function.
    One(&'a str),
}

impl CallRules {
    /// The rules of an answer with these calls and nothing else; `None` if there is no such function.
    ///
    /// # Errors
    ///
    /// When a function has a keyword that does not hold in the format.
    pub fn new(format: ToolFormat, tools: &[Value], calls: Calls<'_>) -> Result<Option<Self>, Unheld> {
        let tags = [("open", OPEN), ("close", CLOSE)].map(|(name, text)| (name.to_owned(), text.to_owned()));
        let mut rules = Self { lark: String::new(), schemas: Vec::new(), tags: tags.to_vec() };
        let functions = tools.iter().map(|tool| tool.get("function").unwrap_or(tool));
        let named = functions.filter_map(|function| Some((function["name"].as_str()?, function)));
        let chosen = |name: &str| match calls {
            Calls::Any | Calls::AnyOnce => true,
            Calls::One(only) => name == only,
        };
        let chosen: Vec<_> = named.filter(|(name, _)| chosen(name)).collect();
        let bodies: Vec<String> = chosen
            .iter()
            .enumerate()
            .map(|(index, (name, function))| match format {
                ToolFormat::Hermes => Ok(rules.json(index, name, function.get("parameters"))),
                ToolFormat::Xml => rules.tags(index, name, function.get("parameters")),
            })
            .collect::<Result<_, _>>()?;
        if bodies.is_empty() {
            return Ok(None);
        }
        let more = if calls == Calls::Any { " (\"\\n\" call)*" } else { "" };
        let begin = format!("start: call{more}\ncall: open \"\\n\" ({}) \"\\n\" close\n", bodies.join(" | "));
        rules.lark.insert_str(0, &begin);
        Ok(Some(rules))
    }

    fn json(&mut self, index: usize, name: &str, parameters: Option<&Value>) -> String {
        let arguments = format!("arguments{index}");
        let mut schema = parameters.cloned().unwrap_or_else(|| json!({}));
        if let Value::Object(fields) = &mut schema {
            let says = ["type", "$ref", "anyOf", "oneOf", "allOf", "enum", "const"];
            if !says.iter().any(|key| fields.contains_key(*key)) {
                fields.insert("type".to_owned(), "object".into());
            }
        }
        self.schemas.push((arguments.clone(), schema.to_string()));
        let begin = literal(&format!("{{\"name\": {}, \"arguments\": ", Value::from(name)));
        format!("{begin} @{arguments} \"}}\"")
    }

    fn tags(&mut self, index: usize, name: &str, parameters: Option<&Value>) -> Result<String, Unheld> {
        let root = parameters.cloned().unwrap_or_else(|| json!({}));
        held::parameters(name, &root)?;
        let required: Vec<&str> = root
            .get("required")
            .and_then(Value::as_array)
            .map_or(Vec::new(), |names| names.iter().filter_map(Value::as_str).collect());
        let empty = Map::new();
        let properties = root.get("properties").and_then(Value::as_object).unwrap_or(&empty);
        let mut body = literal(&format!("{}{name}>\n", xml::FUNCTION));
        for (at, (key, schema)) in properties.iter().enumerate() {
            let begin = literal(&format!("{}{key}>\n", xml::PARAMETER));
            let value = self.value(&format!("value{index}x{at}"), (name, key), schema, &root)?;
            let optional = if required.contains(&key.as_str()) { "" } else { "?" };
            write!(body, " ({begin} {value} \"\\n\"){optional}").expect("a string takes all text");
        }
        let takes_more =
            root.get("additionalProperties").is_some_and(|more| more.is_object() || *more == true);
        if takes_more {
            self.free_text();
            let known: Vec<_> = properties.keys().map(|key| pattern(key)).collect();
            let begin = pattern(xml::PARAMETER);
            let key = format!("KEY_{index}");
            writeln!(self.lark, "{key}: /{begin}[^<>\\s]+>\\n/ & ~/{begin}({})>\\n/", known.join("|"))
                .expect("a string takes all text");
            write!(body, " ({key} TEXT \"\\n\")*").expect("a string takes all text");
        }
        Ok(format!("{body} {}", literal(xml::FUNCTION_END)))
    }

    /// The value of a parameter and its closing tag.
    fn value(
        &mut self,
        name: &str,
        (function, key): (&str, &str),
        schema: &Value,
        root: &Value,
    ) -> Result<String, Unheld> {
        let end = literal(&format!("\n{}", xml::PARAMETER_END));
        let one = schema.get("const").map(std::slice::from_ref);
        let choices = one.or_else(|| schema.get("enum")?.as_array().map(Vec::as_slice));
        let texts: Option<Vec<_>> = choices.and_then(|all| all.iter().map(Value::as_str).collect());
        if let Some(texts) = texts {
            let texts: Vec<_> = texts.into_iter().map(literal).collect();
            return Ok(format!("({}) {end}", texts.join(" | ")));
        }
        if xml::is_text(schema, root) {
            held::text(function, key, schema, root)?;
            self.free_text();
            return Ok("TEXT".to_owned());
        }
        let schema = apart(schema, root);
        self.schemas.push((name.to_owned(), schema.to_string()));
        Ok(format!("@{name} {end}"))
    }

    /// Adds `TEXT`: any text without the closing tag of a parameter, and the tag.
    fn free_text(&mut self) {
        if self.lark.contains("TEXT:") {
            return;
        }
        let end = pattern(xml::PARAMETER_END);
        writeln!(self.lark, "TEXT: (/(?s:.*)/ & ~/(?s:.*){end}(?s:.*)/) /{end}/")
            .expect("a string takes all text");
    }
}

/// The schema of a parameter as one of its own: what its references lead to is among its definitions.
fn apart(schema: &Value, root: &Value) -> Value {
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
fn literal(text: &str) -> String {
    Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

/// A text as a regular expression of Lark.
fn pattern(text: &str) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn tools() -> Vec<Value> {
        let parameters = json!({
            "type": "object",
            "properties": {
                "text": {"type": "string"},
                "count": {"type": "integer"},
                "unit": {"enum": ["m", "\"ft\""]},
                "stop": {"$ref": "#/$defs/Stop"},
            },
            "required": ["text", "stop"],
            "$defs": {"Stop": {"type": "object"}},
        });
        vec![
            json!({"type": "function", "function": {"name": "f", "parameters": parameters}}),
            json!({"name": "g\""}),
        ]
    }

    #[test]
    fn a_forced_call_as_json_has_the_schema_of_its_function() {
        let rules = CallRules::new(ToolFormat::Hermes, &tools(), Calls::Any).unwrap().unwrap();
        assert_eq!(
            rules.lark,
            "start: call (\"\\n\" call)*\n\
             call: open \"\\n\" (\"{\\\"name\\\": \\\"f\\\", \\\"arguments\\\": \" @arguments0 \"}\" \
             | \"{\\\"name\\\": \\\"g\\\\\\\"\\\", \\\"arguments\\\": \" @arguments1 \"}\") \"\\n\" close\n"
        );
        assert_eq!(rules.schemas[1], ("arguments1".to_owned(), r#"{"type":"object"}"#.to_owned()));
        assert!(rules.schemas[0].1.contains("\"$defs\""));
        let once = CallRules::new(ToolFormat::Hermes, &tools(), Calls::AnyOnce).unwrap().unwrap();
        assert_eq!(once.lark, rules.lark.replace("start: call (\"\\n\" call)*", "start: call"));
    }

    #[test]
    fn a_forced_call_of_one_function_is_one_call_of_it() {
        let rules = CallRules::new(ToolFormat::Xml, &tools(), Calls::One("f")).unwrap().unwrap();
        let lines: Vec<_> = rules.lark.lines().collect();
        assert_eq!(lines[0], "start: call");
        assert_eq!(
            lines[1],
            "call: open \"\\n\" (\"<function=f>\\n\" (\"<parameter=text>\\n\" TEXT \"\\n\") \
             (\"<parameter=count>\\n\" @value0x1 \"\\n</parameter>\" \"\\n\")? \
             (\"<parameter=unit>\\n\" (\"m\" | \"\\\"ft\\\"\") \"\\n</parameter>\" \"\\n\")? \
             (\"<parameter=stop>\\n\" @value0x3 \"\\n</parameter>\" \"\\n\") \"</function>\") \"\\n\" close"
        );
        assert_eq!(lines.len(), 3, "{lines:?}");
        assert_eq!(rules.schemas.len(), 2);
        let stop = serde_json::from_str::<Value>(&rules.schemas[1].1).unwrap();
        assert_eq!(stop["$ref"], "#/$defs/parameters/$defs/Stop");
        assert_eq!(stop.pointer("/$defs/parameters/$defs/Stop"), Some(&json!({"type": "object"})));
        assert_eq!(CallRules::new(ToolFormat::Xml, &tools(), Calls::One("h")), Ok(None));
        assert_eq!(CallRules::new(ToolFormat::Xml, &[], Calls::Any), Ok(None));
        let dated =
            json!({"name": "f", "parameters": {"properties": {"day": {"type": "string", "format": "date"}}}});
        let unheld = CallRules::new(ToolFormat::Xml, std::slice::from_ref(&dated), Calls::Any).unwrap_err();
        assert_eq!((unheld.keyword.as_str(), unheld.parameter.as_deref()), ("format", Some("day")));
        assert!(CallRules::new(ToolFormat::Hermes, &[dated], Calls::Any).is_ok());
    }
}
