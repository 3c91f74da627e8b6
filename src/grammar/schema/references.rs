//! References within a schema: what they lead to, and definitions put in their place where alternatives are compared.

use std::collections::HashMap;

use serde_json::{Map, Value};

/// References in a row, each to the next.
const MOST_HOPS: usize = 64;
/// Values of all definitions together after [`inlined`].
const LARGEST: usize = 200_000;

/// Keywords whose values are data.
const DATA: [&str; 5] = ["const", "enum", "default", "example", "examples"];
/// Keywords whose values are schemas by name.
const NAMED: [&str; 4] = ["$defs", "definitions", "properties", "patternProperties"];

/// The name of a definition of [`super::strict`].
pub(super) fn name(number: usize) -> String {
    format!("#/$defs/{number}")
}

/// The number of a definition by its name.
pub(super) fn number(name: &str) -> Option<usize> {
    name.strip_prefix("#/$defs/")?.parse().ok()
}

/// A schema, and its anchors.
#[derive(Debug)]
pub(super) struct Document<'a> {
    root: &'a Value,
    /// `None` for an anchor of two places.
    anchors: HashMap<&'a str, Option<&'a Value>>,
}

impl<'a> Document<'a> {
    pub(super) fn new(root: &'a Value) -> Self {
        let mut anchors = HashMap::new();
        let mut rest = vec![root];
        while let Some(value) = rest.pop() {
            let Value::Object(object) = value else { continue };
            if !std::ptr::eq(value, root) && object.get("$id").is_some_and(Value::is_string) {
                // Anchors belong to the schema that the identifier names.
                continue;
            }
            if let Some(anchor) = object.get("$anchor").and_then(Value::as_str) {
                anchors.entry(anchor).and_modify(|place| *place = None).or_insert(Some(value));
            }
            for (key, value) in object {
                match value {
                    _ if DATA.contains(&key.as_str()) => {}
                    Value::Object(named) if NAMED.contains(&key.as_str()) => rest.extend(named.values()),
                    Value::Array(list) => rest.extend(list),
                    value => rest.push(value),
                }
            }
        }
        Self { root, anchors }
    }

    /// What a reference leads to.
    pub(super) fn target(&self, reference: &str) -> Result<&'a Value, String> {
        let (document, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        let id = self.root.get("$id").and_then(Value::as_str).map(|id| id.trim_end_matches('#'));
        if !document.is_empty() && Some(document) != id {
            return Err("it leads out of the schema; copy what it leads to into `$defs`".to_owned());
        }
        let fragment = decoded(fragment).ok_or("its text after `%` is not a character")?;
        if fragment.is_empty() || fragment.starts_with('/') {
            self.root.pointer(&fragment).ok_or_else(|| "there is no such place in the schema".to_owned())
        } else {
            match self.anchors.get(&*fragment) {
                Some(Some(value)) => Ok(value),
                Some(None) => Err("two places of the schema have this `$anchor`".to_owned()),
                None => Err("there is no such `$anchor`".to_owned()),
            }
        }
    }
}

/// Text with its percent-encoded bytes decoded.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next()?, rest.next()?];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

/// Definitions where the alternatives of a `oneOf` are no longer references: they are compared with each other.
///
/// A `oneOf` below a property or an item is a definition of its own, so copies hold only references to it.
pub(super) fn inlined(definitions: &[Value]) -> Result<Vec<Value>, String> {
    let mut left = LARGEST;
    definitions.iter().map(|definition| inline(definition, definitions, &mut left, 0)).collect()
}

fn inline(value: &Value, definitions: &[Value], left: &mut usize, hops: usize) -> Result<Value, String> {
    *left = left.checked_sub(1).ok_or("it is too large with its references")?;
    if hops > MOST_HOPS {
        return Err(format!("a `$ref` leads to itself, or through more than {MOST_HOPS} others"));
    }
    Ok(match value {
        Value::Object(object) => {
            let mut out = Map::new();
            for (key, value) in object {
                let made = match value {
                    Value::Array(list) if key == "oneOf" => {
                        let each = list.iter().map(|one| alternative(one, definitions, left, hops));
                        Value::Array(each.collect::<Result<_, _>>()?)
                    }
                    // Data, whatever its keys are.
                    value if key == "const" || key == "enum" => {
                        *left = left.checked_sub(size(value)).ok_or("it is too large with its references")?;
                        value.clone()
                    }
                    value => inline(value, definitions, left, hops)?,
                };
                out.insert(key.clone(), made);
            }
            Value::Object(out)
        }
        Value::Array(list) => {
            let each = list.iter().map(|value| inline(value, definitions, left, hops));
            Value::Array(each.collect::<Result<_, _>>()?)
        }
        value => value.clone(),
    })
}

fn alternative(one: &Value, definitions: &[Value], left: &mut usize, hops: usize) -> Result<Value, String> {
    let only = one.as_object().filter(|object| object.len() == 1).and_then(|object| object.get("$ref"));
    let target = only.and_then(Value::as_str).and_then(number).and_then(|at| definitions.get(at));
    match target {
        Some(target) if hops > MOST_HOPS => inline(target, definitions, left, hops),
        Some(target) if target.get("$ref").is_some() && target.as_object().is_some_and(|o| o.len() == 1) => {
            alternative(target, definitions, left, hops + 1)
        }
        Some(target) => inline(target, definitions, left, hops + 1),
        None => inline(one, definitions, left, hops),
    }
}

/// The number of values in data.
pub(super) fn size(value: &Value) -> usize {
    let (mut count, mut rest) = (0, vec![value]);
    while let Some(value) = rest.pop() {
        count += 1;
        match value {
            Value::Object(object) => rest.extend(object.values()),
            Value::Array(list) => rest.extend(list),
            Value::String(text) => count += text.len() / 16,
            _ => {}
        }
    }
    count
}
