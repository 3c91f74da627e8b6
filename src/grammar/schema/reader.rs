//! Reads a schema keyword by keyword and writes it again with the keywords that are held.

use std::collections::{HashMap, VecDeque};

use serde_json::{Map, Value, json};

use super::closing::{self, Parts, Unlisted};
use super::keywords::{self, Support};
use super::numbers::{self, Bounds};
use super::references::{self, Document};
use super::{format, pattern};

/// A length of a text or a list, and a number of properties.
const MOST: u64 = 100_000;
/// Alternatives that are compared with each other, and patterns of names, each with all others.
const MOST_COMPARED: usize = 256;
const MOST_NAME_PATTERNS: usize = 16;
/// Patterns and formats of a schema: each may take milliseconds.
const MOST_PATTERNS: usize = 256;
/// Schemas that references lead to.
const MOST_DEFINITIONS: usize = 1000;
const TYPES: [&str; 7] = ["null", "boolean", "number", "integer", "string", "array", "object"];
const DRAFTS: [&str; 5] = [
    "json-schema.org/draft/2020-12/schema",
    "json-schema.org/draft/2019-09/schema",
    "json-schema.org/draft-07/schema",
    "json-schema.org/draft-06/schema",
    "json-schema.org/draft-04/schema",
];

/// The root as definition 0, and everything that references lead to as the others.
pub(super) fn read(root: &Value, unlisted: Unlisted) -> Result<Vec<Value>, String> {
    let mut reader = Reader {
        document: Document::new(root),
        unlisted,
        numbers: HashMap::new(),
        waiting: VecDeque::new(),
        path: Vec::new(),
        bounds: Bounds::default(),
        patterns: 0,
        name_patterns: 0,
    };
    let mut definitions = Vec::new();
    reader.definition(root, "#".to_owned(), unlisted == Unlisted::LeftOut);
    while let Some((schema, place, closed)) = reader.waiting.pop_front() {
        if definitions.len() == MOST_DEFINITIONS {
            return Err(format!("its references lead to more than {MOST_DEFINITIONS} schemas"));
        }
        reader.path = vec![place];
        definitions.push(reader.schema(schema, closed)?);
    }
    reader.bounds.check()?;
    Ok(definitions)
}

struct Reader<'a> {
    document: Document<'a>,
    unlisted: Unlisted,
    /// The definitions' numbers, by the addresses of their schemas and whether they are closed.
    numbers: HashMap<(*const Value, bool), usize>,
    waiting: VecDeque<(&'a Value, String, bool)>,
    /// Where the schema that is read stands.
    path: Vec<String>,
    bounds: Bounds,
    patterns: usize,
    name_patterns: usize,
}

/// A schema that is being written. llguidance reads keywords in their order, so those that lead to other schemas for the
/// same value come last.
#[derive(Default)]
struct Written {
    own: Map<String, Value>,
    applied: Map<String, Value>,
    all: Vec<Value>,
    /// The schemas that it applies to the same value are closed.
    closes: bool,
}

impl<'a> Reader<'a> {
    fn definition(&mut self, schema: &'a Value, place: String, closed: bool) -> Value {
        let next = self.numbers.len();
        let number = *self.numbers.entry((std::ptr::from_ref(schema), closed)).or_insert_with(|| {
            self.waiting.push_back((schema, place, closed));
            next
        });
        json!({"$ref": references::name(number)})
    }

    /// A schema as llguidance reads it; `closed` if it is all that holds for a value, so that properties which it does not
    /// list can be left out.
    fn schema(&mut self, schema: &'a Value, closed: bool) -> Result<Value, String> {
        let object = match schema {
            Value::Bool(_) => return Ok(schema.clone()),
            Value::Object(object) => object,
            _ => return Err(self.at(None, "expected an object or a boolean")),
        };
        let parts = closed.then(|| Parts::of(object));
        let mut written = Written { closes: parts == Some(Parts::Other), ..Written::default() };
        for (key, value) in object {
            let refused = |reason: &str| Err(self.at(Some(key), reason));
            match keywords::support(key) {
                None => return refused(&keywords::unknown(key)),
                Some(Support::Refused(_)) if has_no_effect(key, value) => {}
                Some(Support::Refused(reason)) => return refused(&format!("it is not supported: {reason}")),
                Some(Support::Annotation) => {}
                Some(Support::Held(_)) => {
                    self.keyword(key, value, object, &mut written).map_err(|reason| {
                        if reason.starts_with('`') && reason.contains("` at `#") {
                            reason
                        } else {
                            self.at(Some(key), &reason)
                        }
                    })?
                }
            }
        }
        match parts {
            Some(Parts::None) => closing::close(&mut written.own),
            Some(Parts::Several) => {
                written.all.extend(closing::together(&self.document, schema)?);
            }
            Some(Parts::Other) | None => {}
        }
        let Written { mut own, applied, mut all, .. } = written;
        own.extend(applied);
        if let Some(Value::Array(first)) = own.remove("allOf") {
            all.splice(0..0, first);
        }
        if !all.is_empty() {
            own.insert("allOf".to_owned(), Value::Array(all));
        }
        Ok(Value::Object(own))
    }

    /// Where a keyword stands, and what is wrong with it.
    fn at(&self, key: Option<&str>, reason: &str) -> String {
        let place = self.path.join("/");
        match key {
            Some(key) => format!("`{key}` at `{place}`: {reason}"),
            None => format!("the schema at `{place}`: {reason}"),
        }
    }

    /// The schema of another value: a property or an item.
    fn child(&mut self, schema: &'a Value, step: &[&str]) -> Result<Value, String> {
        if schema.get("oneOf").is_some() {
            let place = [&[self.path.join("/").as_str()], step].concat().join("/");
            return Ok(self.definition(schema, place, self.unlisted == Unlisted::LeftOut));
        }
        self.within(schema, step, self.unlisted == Unlisted::LeftOut)
    }

    /// A schema below this one.
    fn within(&mut self, schema: &'a Value, step: &[&str], closed: bool) -> Result<Value, String> {
        let depth = self.path.len();
        self.path.extend(step.iter().map(|step| (*step).to_owned()));
        let read = self.schema(schema, closed);
        self.path.truncate(depth);
        read
    }

    fn keyword(
        &mut self,
        key: &'a str,
        value: &'a Value,
        object: &'a Map<String, Value>,
        to: &mut Written,
    ) -> Result<(), String> {
        let own = match key {
            "$schema" => return known_draft(value),
            "$id" if self.path.len() > 1 || self.path[0] != "#" => {
                return Err("it is held at the root only".to_owned());
            }
            "$id" | "$anchor" | "$defs" | "definitions" => return Ok(()),
            "type" => types(value)?,
            "enum" => {
                let all = value
                    .as_array()
                    .filter(|all| !all.is_empty())
                    .ok_or("expected a list that is not empty")?;
                let each = all.iter().map(|value| self.constant(value));
                to.applied.insert(key.to_owned(), Value::Array(each.collect::<Result<_, _>>()?));
                return Ok(());
            }
            "const" => {
                to.applied.insert(key.to_owned(), self.constant(value)?);
                return Ok(());
            }
            "$ref" => {
                let name = value.as_str().ok_or("expected a text")?;
                let target = self.document.target(name).map_err(|reason| format!("`{name}`: {reason}"))?;
                let reference = self.definition(target, name.to_owned(), to.closes);
                to.applied.insert(key.to_owned(), reference["$ref"].clone());
                return Ok(());
            }
            "allOf" | "anyOf" | "oneOf" => {
                let schemas = self.schemas(key, value, to.closes)?;
                if key == "oneOf" && schemas.len() > MOST_COMPARED {
                    return Err(format!(
                        "it has {} alternatives, expected at most {MOST_COMPARED}",
                        schemas.len()
                    ));
                }
                to.applied.insert(key.to_owned(), Value::Array(schemas));
                return Ok(());
            }
            "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" => {
                let number = numbers::exact(value)?;
                self.bounds.add(&number, key.starts_with("exclusive"));
                number.into()
            }
            "multipleOf" => numbers::factor(value)?.into(),
            "minLength" | "minItems" | "minProperties" => {
                let least = numbers::count(value, MOST)?;
                let other = key.replace("min", "max");
                if let Some(most) = object.get(&other).and_then(Value::as_u64).filter(|most| *most < least) {
                    return Err(format!("it is {least}, above `{other}`, which is {most}"));
                }
                if key == "minProperties" {
                    let required = object.get("required").and_then(Value::as_array).map_or(0, Vec::len);
                    if least > required as u64 + 1 {
                        return Err(format!(
                            "it is {least}, expected at most one more than the {required} names in `required`: \
                             a name that is written twice counts once"
                        ));
                    }
                }
                least.into()
            }
            "maxLength" | "maxItems" | "maxProperties" => match numbers::count(value, u64::MAX)? {
                // Longer than any answer.
                most if most > MOST => return Ok(()),
                most => most.into(),
            },
            "pattern" => {
                let text = value.as_str().ok_or("expected a text")?;
                return self
                    .pattern(pattern::translate(text).map_err(|reason| format!("`{text}`: {reason}"))?, to);
            }
            "format" => {
                let name = value.as_str().ok_or("expected a text")?;
                let known = || format::FORMATS.map(|(name, _)| name).join("`, `");
                let pattern = format::pattern(name)
                    .ok_or_else(|| format!("`{name}` is not supported, expected one of `{}`", known()))?;
                return self.pattern(pattern, to);
            }
            "items" if value.is_array() => Value::Array(self.schemas(key, value, true)?),
            "items" | "additionalProperties" => self.child(value, &[key])?,
            "additionalItems" if object.get("items").is_some_and(Value::is_array) => {
                self.child(value, &[key])?
            }
            // Without an array it has no effect.
            "additionalItems" => return Ok(()),
            "prefixItems" => Value::Array(self.schemas(key, value, true)?),
            "properties" => self.properties(key, value)?,
            "patternProperties" => {
                self.name_patterns += value.as_object().map_or(0, Map::len);
                if self.name_patterns > MOST_NAME_PATTERNS {
                    return Err(format!("a schema has at most {MOST_NAME_PATTERNS} patterns of names"));
                }
                self.properties(key, value)?
            }
            "required" => {
                let names = value.as_array().ok_or("expected a list of names")?;
                if !names.iter().all(Value::is_string) {
                    return Err("expected a list of names".to_owned());
                }
                value.clone()
            }
            _ => return Err("it is not supported".to_owned()),
        };
        let key = match key {
            "items" if own.is_array() => "prefixItems",
            "additionalItems" => "items",
            key => key,
        };
        to.own.insert(key.to_owned(), own);
        Ok(())
    }

    fn schemas(&mut self, key: &'a str, value: &'a Value, closed: bool) -> Result<Vec<Value>, String> {
        let all = value.as_array().ok_or("expected a list of schemas")?;
        if all.is_empty() && key.ends_with("Of") {
            return Err("expected a list that is not empty".to_owned());
        }
        let is_child = !key.ends_with("Of");
        let each = all.iter().enumerate().map(|(at, schema)| {
            let step = [key, &at.to_string()];
            if is_child { self.child(schema, &step) } else { self.within(schema, &step, closed) }
        });
        each.collect()
    }

    fn properties(&mut self, key: &'a str, value: &'a Value) -> Result<Value, String> {
        let all = value.as_object().ok_or("expected an object of schemas")?;
        let mut out = Map::new();
        for (name, schema) in all {
            let made = self.child(schema, &[key, name])?;
            let name = if key == "patternProperties" {
                self.count_pattern()?;
                pattern::translate(name).map_err(|reason| format!("`{name}`: {reason}"))?
            } else {
                name.clone()
            };
            if out.insert(name, made).is_some() {
                return Err("two patterns are the same".to_owned());
            }
        }
        Ok(Value::Object(out))
    }

    fn pattern(&mut self, pattern: String, to: &mut Written) -> Result<(), String> {
        self.count_pattern()?;
        if to.own.contains_key("pattern") {
            to.all.push(json!({"pattern": pattern}));
        } else {
            to.own.insert("pattern".to_owned(), pattern.into());
        }
        Ok(())
    }

    fn count_pattern(&mut self) -> Result<(), String> {
        self.patterns += 1;
        if self.patterns > MOST_PATTERNS {
            return Err(format!("a schema has at most {MOST_PATTERNS} patterns and formats"));
        }
        Ok(())
    }

    /// A value that is written as it is.
    fn constant(&mut self, value: &Value) -> Result<Value, String> {
        Ok(match value {
            Value::Number(_) => numbers::exact(value)?.into(),
            Value::String(text) => {
                let is_control = |c: char| c.is_ascii_control() && !"\n\r\t\u{8}\u{c}".contains(c);
                if let Some(control) = text.chars().find(|c| is_control(*c)) {
                    return Err(format!("a text has the control character U+{:04X}", u32::from(control)));
                }
                value.clone()
            }
            Value::Array(list) => {
                Value::Array(list.iter().map(|value| self.constant(value)).collect::<Result<_, _>>()?)
            }
            Value::Object(object) => {
                let each = object.iter().map(|(key, value)| Ok((key.clone(), self.constant(value)?)));
                Value::Object(each.collect::<Result<_, String>>()?)
            }
            Value::Null | Value::Bool(_) => value.clone(),
        })
    }
}

/// Whether a keyword that is not held says nothing with this value.
fn has_no_effect(key: &str, value: &Value) -> bool {
    match key {
        "uniqueItems" => *value == false,
        "unevaluatedItems" | "unevaluatedProperties" => *value == true,
        _ => false,
    }
}

fn known_draft(value: &Value) -> Result<(), String> {
    let name = value.as_str().ok_or("expected a text")?;
    let bare = name.strip_prefix("https://").or_else(|| name.strip_prefix("http://")).unwrap_or(name);
    if DRAFTS.contains(&bare.trim_end_matches('#')) {
        Ok(())
    } else {
        Err(format!("`{name}` is not supported, expected `https://{}`", DRAFTS[0]))
    }
}

fn types(value: &Value) -> Result<Value, String> {
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
