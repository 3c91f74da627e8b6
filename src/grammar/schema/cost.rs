//! What a schema costs to compile, estimated before. Where several schemas hold for one value, llguidance combines each
//! alternative of one with each of the others, and copies what it combines.

use serde_json::{Map, Value};

use super::{numbers, references};

/// The work of a whole schema; each unit takes some 10 microseconds.
const MOST: f64 = 40_000.0;
/// Properties of one object, after the combination of schemas: the work grows with their square.
const MOST_PROPERTIES: f64 = 1000.0;
/// Properties of an object that has a limit on their number: each is a case.
const MOST_COUNTED: f64 = 32.0;
/// The multiple that several `multipleOf` have in common, in units of the last digit: each remainder is a state.
const MOST_FACTOR: f64 = 10_000.0;
/// What a list or an object of a constant costs, compared with a text.
const NESTED: f64 = 3.0;
/// The types of a value without `type`.
const ALL_TYPES: f64 = 6.0;

/// Refuses definitions that lead to themselves without a property or an item between, and those that cost too much.
pub(super) fn check(definitions: &[Value]) -> Result<(), String> {
    let mut estimate = Estimate { definitions, known: vec![Known::No; definitions.len()], total: 0.0 };
    for number in 0..definitions.len() {
        estimate.definition(number)?;
    }
    Ok(())
}

/// What is known of a schema, other schemas for the same value combined.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Size {
    values: f64,
    /// The most alternatives of one value in it.
    width: f64,
    properties: f64,
    counts_properties: bool,
    /// It only leaves out properties that others do not list.
    only_closes: bool,
    factor: f64,
}

impl Size {
    const ONE: Self = Self {
        values: 1.0,
        width: 1.0,
        properties: 0.0,
        counts_properties: false,
        only_closes: false,
        factor: 1.0,
    };

    /// Both for the same value.
    fn combined(self, other: Self) -> Self {
        Self {
            values: self.values * other.width + other.values * self.width,
            width: self.width * other.width,
            properties: if self.only_closes == other.only_closes {
                self.properties + other.properties
            } else {
                self.properties.max(other.properties)
            },
            counts_properties: self.counts_properties || other.counts_properties,
            only_closes: self.only_closes && other.only_closes,
            factor: self.factor * other.factor,
        }
    }

    /// One or the other for the same value.
    fn or(self, other: Self) -> Self {
        Self {
            values: self.values + other.values,
            width: self.width + other.width,
            properties: self.properties.max(other.properties),
            counts_properties: self.counts_properties || other.counts_properties,
            only_closes: self.only_closes && other.only_closes,
            factor: self.factor.max(other.factor),
        }
    }

    fn check(self) -> Result<Self, String> {
        if self.properties > MOST_PROPERTIES {
            return Err(format!(
                "an object has {} properties, expected at most {MOST_PROPERTIES}",
                self.properties
            ));
        }
        if self.counts_properties && self.properties > MOST_COUNTED {
            return Err(format!(
                "`minProperties` or `maxProperties` is beside {} properties, expected at most {MOST_COUNTED}",
                self.properties
            ));
        }
        if self.factor > MOST_FACTOR {
            return Err(format!(
                "`multipleOf` is above {MOST_FACTOR}, digits after the point included, alone or with others"
            ));
        }
        Ok(self)
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Known {
    No,
    /// Being estimated: a reference to it from itself.
    Open,
    Yes(Size),
}

struct Estimate<'a> {
    definitions: &'a [Value],
    known: Vec<Known>,
    total: f64,
}

impl<'a> Estimate<'a> {
    fn definition(&mut self, number: usize) -> Result<Size, String> {
        let circle = || "a `$ref` leads to itself without a property or an item between".to_owned();
        match *self.known.get(number).ok_or_else(circle)? {
            Known::Yes(size) => return Ok(size),
            Known::Open => return Err(circle()),
            Known::No => {}
        }
        self.known[number] = Known::Open;
        let size = self.schema(&self.definitions[number])?;
        self.known[number] = Known::Yes(size);
        Ok(size)
    }

    fn schema(&mut self, schema: &'a Value) -> Result<Size, String> {
        let Value::Object(object) = schema else { return Ok(Size::ONE) };
        let mut parts = Vec::new();
        if object.keys().any(|key| !is_applied(key)) {
            parts.push(self.own(object)?);
        }
        for (key, value) in object {
            match (key.as_str(), value) {
                ("$ref", Value::String(name)) => {
                    let number = references::number(name).unwrap_or(usize::MAX);
                    parts.push(self.definition(number)?);
                }
                ("allOf", Value::Array(all)) => {
                    for one in all {
                        parts.push(self.schema(one)?);
                    }
                }
                ("anyOf" | "oneOf", Value::Array(all)) => {
                    let mut sum = Size { values: 0.0, width: 0.0, ..Size::ONE };
                    for one in all {
                        sum = sum.or(self.schema(one)?);
                    }
                    if key == "oneOf" {
                        sum.values += sum.width * sum.width / 16.0;
                    }
                    parts.push(sum);
                }
                #[expect(clippy::cast_precision_loss, reason = "an estimate")]
                ("const" | "enum", value) => {
                    let width = value.as_array().filter(|_| key == "enum").map_or(1, Vec::len) as f64;
                    let count = references::size(value) as f64;
                    let values = if count > width { NESTED * count } else { count / 4.0 };
                    parts.push(Size { values, width, ..Size::ONE });
                }
                _ => {}
            }
        }
        self.add(parts.into_iter().reduce(Size::combined).unwrap_or(Size::ONE).check()?)
    }

    fn add(&mut self, size: Size) -> Result<Size, String> {
        self.total += size.values;
        if self.total > MOST {
            return Err("it is too large: too many alternatives hold for the same values".to_owned());
        }
        Ok(size)
    }

    /// Keywords other than those that apply other schemas to the same value.
    fn own(&mut self, object: &'a Map<String, Value>) -> Result<Size, String> {
        let width = match object.get("type") {
            None => ALL_TYPES,
            #[expect(clippy::cast_precision_loss, reason = "at most seven")]
            Some(kinds) => kinds.as_array().map_or(1, Vec::len) as f64,
        };
        let mut size = Size { values: width, width, ..Size::ONE };
        for (key, value) in object {
            #[expect(clippy::cast_precision_loss, reason = "an estimate")]
            let children: Vec<&Value> = match (key.as_str(), value) {
                ("properties" | "patternProperties", Value::Object(all)) => {
                    size.properties += all.len() as f64;
                    let is_open = object.get("additionalProperties") != Some(&Value::Bool(false));
                    size.only_closes = !is_open && all.values().all(|value| *value == true);
                    all.values().collect()
                }
                ("prefixItems", Value::Array(all)) => all.iter().collect(),
                ("items" | "additionalProperties", one) => vec![one],
                ("pattern", Value::String(text)) => {
                    size.values += text.len() as f64 / 16.0;
                    continue;
                }
                ("minProperties" | "maxProperties", _) => {
                    size.counts_properties = true;
                    continue;
                }
                ("multipleOf", Value::Number(number)) => {
                    size.factor = numbers::digits(number);
                    continue;
                }
                _ => continue,
            };
            for child in children {
                // A reference stays one until it is combined with something, which llguidance counts.
                let is_reference = child.as_object().is_some_and(|o| o.len() == 1 && o.contains_key("$ref"));
                let child = if is_reference { Size::ONE } else { self.schema(child)? };
                size.values += child.values;
                size.width = size.width.max(child.width);
            }
        }
        Ok(size)
    }
}

fn is_applied(key: &str) -> bool {
    matches!(key, "$ref" | "allOf" | "anyOf" | "oneOf" | "const" | "enum")
}
