//! Reads a schema keyword by keyword and writes it again with the keywords that are held.

use std::collections::{HashMap, VecDeque};
use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use super::closing::{self, Parts, Unlisted};
use super::keywords::{self, Support};
use super::numbers::{self, Bounds};
use super::references::{self, Document};
use super::{format, pattern, values};

/// Alternatives that are compared with each other, and patterns of names, each with all others.
const MOST_COMPARED: usize = 256;
const MOST_NAME_PATTERNS: usize = 16;
/// Patterns and formats of a schema: each may take milliseconds.
const MOST_PATTERNS: usize = 256;
/// Schemas that references lead to.
const MOST_DEFINITIONS: usize = 1000;
/// The schema of most integers. Its bounds take llguidance a millisecond or two, so there is one definition of it.
static INTEGER: LazyLock<Value> = LazyLock::new(|| json!({"type": "integer"}));

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
        definitions.push(reader.schema(schema, closed).map_err(Problem::text)?);
    }
    reader.bounds.check()?;
    Ok(definitions)
}

/// Why a keyword is refused.
enum Problem {
    /// The reason alone.
    Here(String),
    /// With the keyword and its place.
    Placed(String),
}

impl Problem {
    fn text(self) -> String {
        match self {
            Self::Here(text) | Self::Placed(text) => text,
        }
    }
}

impl From<String> for Problem {
    fn from(reason: String) -> Self {
        Self::Here(reason)
    }
}

impl From<&str> for Problem {
    fn from(reason: &str) -> Self {
        Self::Here(reason.to_owned())
    }
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
    fn schema(&mut self, schema: &'a Value, closed: bool) -> Result<Value, Problem> {
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
                Some(Support::Refused(_)) if values::has_no_effect(key, value) => {}
                Some(Support::Refused(reason)) => return refused(&format!("it is not supported: {reason}")),
                Some(Support::Annotation) => {}
                Some(Support::Held(_)) => {
                    let read = self.keyword(key, value, object, &mut written);
                    read.map_err(|problem| match problem {
                        Problem::Here(reason) => self.at(Some(key), &reason),
                        placed @ Problem::Placed(_) => placed,
                    })?;
                }
            }
        }
        numbers::bound_integers(&mut written.own);
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
    fn at(&self, key: Option<&str>, reason: &str) -> Problem {
        let place = self.path.join("/");
        Problem::Placed(match key {
            Some(key) => format!("`{key}` at `{place}`: {reason}"),
            None => format!("the schema at `{place}`: {reason}"),
        })
    }

    /// The schema of another value: a property or an item.
    fn child(&mut self, schema: &'a Value, step: &[&str]) -> Result<Value, Problem> {
        if schema.get("oneOf").is_some() {
            let place = [&[self.path.join("/").as_str()], step].concat().join("/");
            return Ok(self.definition(schema, place, self.unlisted == Unlisted::LeftOut));
        }
        if values::is_plain_integer(schema) {
            return Ok(self.definition(&INTEGER, "#".to_owned(), false));
        }
        self.within(schema, step, self.unlisted == Unlisted::LeftOut)
    }

    /// A schema below this one.
    fn within(&mut self, schema: &'a Value, step: &[&str], closed: bool) -> Result<Value, Problem> {
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
    ) -> Result<(), Problem> {
        let (key, own) = match key {
            "$schema" => return Ok(values::known_draft(value)?),
            "$id" if self.path.len() > 1 || self.path[0] != "#" => {
                return Err("it is supported only at the root".into());
            }
            "enum" | "const" | "$ref" | "allOf" | "anyOf" | "oneOf" => return self.applied(key, value, to),
            "pattern" => {
                let text = value.as_str().ok_or("expected a text")?;
                let pattern = pattern::translate(text).map_err(|reason| format!("`{text}`: {reason}"))?;
                return Ok(self.pattern(pattern, to)?);
            }
            "format" if values::excludes_texts(object) => return Ok(()),
            "format" => {
                let name = value.as_str().ok_or("expected a text")?;
                let known = || format::FORMATS.map(|(name, _)| name).join("`, `");
                let pattern = format::pattern(name)
                    .ok_or_else(|| format!("`{name}` is not supported, expected one of `{}`", known()))?;
                return Ok(self.pattern(pattern, to)?);
            }
            "type" => (key, values::types(value)?),
            "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" => {
                let number = numbers::exact(value)?;
                self.bounds.add(&number, key.starts_with("exclusive"));
                (key, number.into())
            }
            "multipleOf" => (key, numbers::factor(value)?.into()),
            "minLength" | "minItems" | "minProperties" => (key, values::least(key, value, object)?.into()),
            "maxLength" | "maxItems" | "maxProperties" => match values::most(value)? {
                Some(most) => (key, most.into()),
                None => return Ok(()),
            },
            "items" if value.is_array() => ("prefixItems", Value::Array(self.schemas(key, value, true)?)),
            "prefixItems" => (key, Value::Array(self.schemas(key, value, true)?)),
            "items" | "additionalProperties" => (key, self.child(value, &[key])?),
            "additionalItems" if object.get("items").is_some_and(Value::is_array) => {
                ("items", self.child(value, &[key])?)
            }
            "properties" => (key, self.properties(key, value)?),
            "patternProperties" => {
                self.name_patterns += value.as_object().map_or(0, Map::len);
                if self.name_patterns > MOST_NAME_PATTERNS {
                    return Err(format!("a schema has at most {MOST_NAME_PATTERNS} patterns of names").into());
                }
                (key, self.properties(key, value)?)
            }
            "required" => {
                let names = value.as_array().filter(|names| names.iter().all(Value::is_string));
                names.ok_or("expected a list of names")?;
                (key, value.clone())
            }
            // `additionalItems` has no effect without an array `items`.
            "$id" | "$anchor" | "$defs" | "definitions" | "additionalItems" => return Ok(()),
            _ => return Err("it is not supported".into()),
        };
        to.own.insert(key.to_owned(), own);
        Ok(())
    }

    /// A keyword that applies other schemas to the same value.
    fn applied(&mut self, key: &'a str, value: &'a Value, to: &mut Written) -> Result<(), Problem> {
        let made = match key {
            "const" => values::constant(value)?,
            "enum" => {
                let all = value.as_array().filter(|all| !all.is_empty());
                let each = all.ok_or("expected a list that is not empty")?.iter().map(values::constant);
                Value::Array(each.collect::<Result<_, _>>()?)
            }
            "$ref" => {
                let name = value.as_str().ok_or("expected a text")?;
                let target = self.document.target(name).map_err(|reason| format!("`{name}`: {reason}"))?;
                self.definition(target, name.to_owned(), to.closes)["$ref"].clone()
            }
            _ => {
                let schemas = self.schemas(key, value, to.closes)?;
                if key == "oneOf" && schemas.len() > MOST_COMPARED {
                    let count = schemas.len();
                    return Err(
                        format!("it has {count} alternatives, expected at most {MOST_COMPARED}").into()
                    );
                }
                Value::Array(schemas)
            }
        };
        to.applied.insert(key.to_owned(), made);
        Ok(())
    }

    fn schemas(&mut self, key: &'a str, value: &'a Value, closed: bool) -> Result<Vec<Value>, Problem> {
        let all = value.as_array().ok_or("expected a list of schemas")?;
        if all.is_empty() && key.ends_with("Of") {
            return Err("expected a list that is not empty".into());
        }
        let is_child = !key.ends_with("Of");
        let each = all.iter().enumerate().map(|(at, schema)| {
            let step = [key, &at.to_string()];
            if is_child { self.child(schema, &step) } else { self.within(schema, &step, closed) }
        });
        each.collect()
    }

    fn properties(&mut self, key: &'a str, value: &'a Value) -> Result<Value, Problem> {
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
                return Err("two patterns are the same".into());
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
}
