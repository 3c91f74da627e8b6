//! Leaves out properties that a schema does not list. They would be valid, but a schema that lists properties asks for those.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::references::Document;

/// Keywords that apply schemas to the same value.
const APPLIED: [&str; 4] = ["$ref", "allOf", "anyOf", "oneOf"];

/// Properties that a schema does not list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::grammar) enum Unlisted {
    /// They are left out where a schema lists others and says nothing about more.
    LeftOut,
    /// They are written wherever they are valid.
    Written,
}

/// What holds for an object beside a schema's own keywords.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parts {
    /// Nothing.
    None,
    /// One other schema, or one of several, and nothing of its own.
    Other,
    /// Several schemas together.
    Several,
}

impl Parts {
    pub(super) fn of(object: &Map<String, Value>) -> Self {
        let own = [
            "properties",
            "patternProperties",
            "additionalProperties",
            "required",
            "minProperties",
            "maxProperties",
        ];
        let has_own = own.iter().any(|key| object.contains_key(*key));
        let parts = |key: &str| match (key, object.get(key)) {
            (_, None) => 0,
            ("allOf", Some(all)) => all.as_array().map_or(1, Vec::len),
            (_, Some(_)) => 1,
        };
        match APPLIED.iter().map(|key| parts(key)).sum::<usize>() {
            0 => Self::None,
            1 if !has_own => Self::Other,
            _ => Self::Several,
        }
    }
}

/// Leaves out properties that an object does not list, if it lists some and says nothing about others.
pub(super) fn close(own: &mut Map<String, Value>) {
    if own.contains_key("additionalProperties") || own.contains_key("patternProperties") {
        return;
    }
    let required = own.get("required").cloned();
    let Some(Value::Object(listed)) = own.get_mut("properties") else { return };
    for name in required.iter().filter_map(Value::as_array).flatten().filter_map(Value::as_str) {
        listed.entry(name).or_insert(Value::Bool(true));
    }
    own.insert("additionalProperties".to_owned(), false.into());
}

/// A schema that leaves out properties which none of the schemas for one value lists; `None` if it lists none, or one of
/// them speaks of others.
pub(super) fn together(document: &Document<'_>, schema: &Value) -> Result<Option<Value>, String> {
    let (mut names, mut names_required) = (Map::new(), Map::new());
    let (mut rest, mut seen) = (vec![schema], HashSet::new());
    while let Some(schema) = rest.pop() {
        let Value::Object(object) = schema else { continue };
        if !seen.insert(std::ptr::from_ref(schema)) {
            continue;
        }
        if object.contains_key("additionalProperties") || object.contains_key("patternProperties") {
            return Ok(None);
        }
        let properties = object.get("properties").and_then(Value::as_object);
        names.extend(properties.into_iter().flat_map(Map::keys).map(|name| (name.clone(), true.into())));
        let required = object.get("required").and_then(Value::as_array).into_iter().flatten();
        names_required.extend(required.filter_map(Value::as_str).map(|name| (name.to_owned(), true.into())));
        if let Some(name) = object.get("$ref").and_then(Value::as_str) {
            rest.push(document.target(name)?);
        }
        let lists = ["allOf", "anyOf", "oneOf"].iter().filter_map(|key| object.get(*key)?.as_array());
        rest.extend(lists.flatten());
    }
    if names.is_empty() {
        return Ok(None);
    }
    names.extend(names_required);
    let mut closing = Map::from_iter([
        ("properties".to_owned(), Value::Object(names)),
        ("additionalProperties".to_owned(), false.into()),
    ]);
    closing.extend(schema.get("type").map(|kind| ("type".to_owned(), kind.clone())));
    Ok(Some(Value::Object(closing)))
}
