//! Limits of a JSON schema, checked before llama.cpp's converter sees it: the converter recurses without a limit, and takes
//! time that grows with the cube of an object's optional properties.

use serde_json::{Map, Value};

use crate::json;

/// Bytes of a schema.
const LONGEST: usize = 256 << 10;
/// Optional properties of one object; as many take about 50 ms.
const MOST_OPTIONAL: usize = 256;
/// References in a row, each to the next.
const MOST_HOPS: usize = 64;
/// Bytes of a reference or a pattern, which the converter matches by recursion.
const LONGEST_TEXT: usize = 4096;

/// Refuses a schema that is not valid JSON, or that the converter cannot be given.
pub(super) fn check(schema: &str) -> Result<(), String> {
    if schema.len() > LONGEST {
        return Err(format!("it has {} bytes, expected at most {LONGEST}", schema.len()));
    }
    // serde_json reports the position of a mistake, and limits the nesting.
    let root: Value = serde_json::from_str(schema).map_err(|error| json::problem(&error))?;
    if !root.is_object() && !root.is_boolean() {
        return Err("expected an object or a boolean".to_owned());
    }
    let mut rest = vec![&root];
    while let Some(value) = rest.pop() {
        match value {
            Value::Object(object) => {
                check_object(&root, object)?;
                rest.extend(object.values());
            }
            Value::Array(list) => rest.extend(list),
            _ => {}
        }
    }
    Ok(())
}

fn check_object(root: &Value, object: &Map<String, Value>) -> Result<(), String> {
    for field in ["$ref", "pattern"] {
        if let Some(text) = object.get(field).and_then(Value::as_str).filter(|text| text.len() > LONGEST_TEXT)
        {
            return Err(format!("`{field}` has {} bytes, expected at most {LONGEST_TEXT}", text.len()));
        }
    }
    follow(root, object)?;
    let optional = optional(root, object)?;
    if optional > MOST_OPTIONAL {
        return Err(format!(
            "an object has {optional} optional properties, expected at most {MOST_OPTIONAL}; list others in `required`"
        ));
    }
    Ok(())
}

/// The schema that an object refers to, through other references; itself if it has none.
fn follow<'a>(root: &'a Value, object: &'a Map<String, Value>) -> Result<&'a Map<String, Value>, String> {
    let (mut next, mut hops) = (object, 0);
    while let Some(name) = next.get("$ref").and_then(Value::as_str) {
        hops += 1;
        if hops > MOST_HOPS {
            return Err(format!("`$ref` `{name}` leads to itself, or through more than {MOST_HOPS} others"));
        }
        match target(root, name) {
            Some(Value::Object(object)) => next = object,
            _ => break,
        }
    }
    Ok(next)
}

/// Optional properties of an object, those that its `allOf` adds by `anyOf` included.
fn optional(root: &Value, object: &Map<String, Value>) -> Result<usize, String> {
    let properties =
        |object: &Map<String, Value>| object.get("properties").and_then(Value::as_object).map_or(0, Map::len);
    let required = list(object, "required").len();
    let mut count = properties(object).saturating_sub(required);
    for part in list(object, "allOf").iter().filter_map(Value::as_object) {
        for alternative in list(part, "anyOf").iter().filter_map(Value::as_object) {
            count += properties(follow(root, alternative)?);
        }
    }
    Ok(count)
}

fn list<'a>(object: &'a Map<String, Value>, name: &str) -> &'a [Value] {
    object.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// What a reference leads to, its parts taken as they are written or as JSON pointers are.
fn target<'a>(root: &'a Value, name: &str) -> Option<&'a Value> {
    let pointer = name.split_once('#').map_or(name, |(_, pointer)| pointer);
    let step = |value: &'a Value, part: &str| match value {
        Value::Array(list) => list.get(part.parse::<usize>().ok()?),
        value => value.get(part),
    };
    let plain = pointer.split('/').filter(|part| !part.is_empty()).try_fold(root, step);
    plain.or_else(|| root.pointer(pointer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_converter_cannot_be_given_is_refused_with_the_reason() {
        let properties = |count: usize| {
            let each: Vec<String> =
                (0..count).map(|n| format!("\"p{n}\": {{\"type\": \"integer\"}}")).collect();
            format!("{{\"type\": \"object\", \"properties\": {{{}}}}}", each.join(", "))
        };
        assert_eq!(check(&properties(MOST_OPTIONAL)), Ok(()));
        for (schema, reason) in [
            (properties(MOST_OPTIONAL + 1), "257 optional properties"),
            (
                r##"{"allOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"$ref": "#/$defs/a"}}}"##.to_owned(),
                "leads to itself",
            ),
            (r##"{"$ref": "#"}"##.to_owned(), "leads to itself"),
            (
                format!(r#"{{"type": "string", "pattern": "^{}$"}}"#, "(".repeat(5000)),
                "`pattern` has 5002 bytes",
            ),
            (" ".repeat(LONGEST + 1), "expected at most 262144"),
            ("[]".to_owned(), "expected an object or a boolean"),
            ("{\"type\": ".to_owned(), "incomplete JSON"),
        ] {
            let error = check(&schema).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn references_to_other_schemas_and_recursive_ones_are_valid() {
        let list = r##"{"$ref": "#/$defs/list", "$defs": {"list": {"type": "object", "properties": {
            "next": {"$ref": "#/$defs/list"}, "value": {"type": "integer"}}}}}"##;
        assert_eq!(check(list), Ok(()));
    }
}
