//! Parses a body as a JSON object. Depth and number of values are bounded, since a value takes many times the memory of its
//! text; a key that occurs twice is refused, since readers disagree on which one counts.

use std::cell::{Cell, RefCell};
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::refused::Refused;
use crate::json;

/// Depth of lists and objects; the parser refuses more than 127.
const DEEPEST: usize = 120;
/// Values of a body, each item of a list and each entry of an object counted.
const MOST_VALUES: usize = 1 << 20;
/// Characters of a key in a message.
const SHOWN: usize = 64;

/// Parses a body.
///
/// # Errors
///
/// When it is not one JSON object, nests too deep, has too many values, or a key twice.
pub(super) fn parse(bytes: &[u8]) -> Result<Map<String, Value>, Refused> {
    let state = State { left: Cell::new(MOST_VALUES), reason: RefCell::default() };
    let mut parser = serde_json::Deserializer::from_slice(bytes);
    let parsed = Bounded { state: &state, depth: 0 }.deserialize(&mut parser);
    let body = |reason| Refused::Body { reason };
    match parsed.and_then(|value| parser.end().map(|()| value)) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(other) => Err(body(format!("the body is {}, expected a JSON object", name(&other)))),
        Err(error) => {
            let reason = state.reason.take().unwrap_or_else(|| match bytes {
                [] => "the body is empty, expected a JSON object".to_owned(),
                _ => format!("the body is {}", json::problem(&error)),
            });
            Err(body(reason))
        }
    }
}

fn name(value: &Value) -> &'static str {
    match value {
        Value::Null => "`null`",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

struct State {
    left: Cell<usize>,
    /// Why the body is refused, if it is not the parser's reason.
    reason: RefCell<Option<String>>,
}

/// A value at a depth.
#[derive(Clone, Copy)]
struct Bounded<'a> {
    state: &'a State,
    depth: usize,
}

impl Bounded<'_> {
    fn refuse<E: serde::de::Error>(self, reason: String) -> E {
        self.state.reason.replace(Some(reason));
        E::custom("refused")
    }

    /// The values inside this one.
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth == DEEPEST {
            return Err(self.refuse(format!("the body nests deeper than {DEEPEST} levels")));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Bounded<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        let Some(left) = self.state.left.get().checked_sub(1) else {
            return Err(self.refuse(format!("the body has more than {MOST_VALUES} values")));
        };
        self.state.left.set(left);
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Bounded<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("not a finite number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inside = self.deeper()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(inside)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let inside = self.deeper()?;
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if map.contains_key(&key) {
                let key: String = key.chars().take(SHOWN).collect();
                return Err(self.refuse(format!("the key `{key}` occurs twice in one object")));
            }
            let value = entries.next_value_seed(inside)?;
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn reason(text: &str) -> String {
        match parse(text.as_bytes()) {
            Err(Refused::Body { reason }) => reason,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_object_is_parsed_as_serde_json_does() {
        let text =
            r#"{"a": [1, -2, 0.1, 1e300, 18446744073709551615, null, true], "b": {"c": "\u00e9\n"}, "": ""}"#;
        assert_eq!(
            Value::Object(parse(text.as_bytes()).unwrap()),
            serde_json::from_str::<Value>(text).unwrap()
        );
    }

    #[test]
    fn anything_else_is_refused_with_its_reason() {
        for (text, expected) in [
            ("", "the body is empty, expected a JSON object"),
            ("[]", "the body is a list, expected a JSON object"),
            ("null", "the body is `null`, expected a JSON object"),
            (r#"{"a": 1"#, "the body is incomplete JSON, it ends at column 7"),
            (r#"{"a": 1} x"#, "the body is invalid JSON at column 10"),
            (r#"{"a": NaN}"#, "the body is invalid JSON at column 7"),
            (r#"{"a": 1, "b": {"c": 1, "c": 2}}"#, "the key `c` occurs twice in one object"),
        ] {
            assert_eq!(reason(text), expected, "{text}");
        }
        assert!(parse(b"{\"a\": \"\xff\"}").is_err());
    }

    #[test]
    fn depth_and_number_of_values_are_bounded() {
        let nested = |depth: usize| format!("{{\"a\": {}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse(nested(DEEPEST - 1).as_bytes()).is_ok());
        assert_eq!(reason(&nested(DEEPEST)), "the body nests deeper than 120 levels");
        assert_eq!(reason(&nested(100_000)), "the body nests deeper than 120 levels");
        let list = |items: usize| format!("{{\"a\": [0{}]}}", ",0".repeat(items - 1));
        assert!(parse(list(MOST_VALUES - 2).as_bytes()).is_ok());
        assert_eq!(reason(&list(MOST_VALUES - 1)), "the body has more than 1048576 values");
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_object_or_refused(bytes: Vec<u8>) {
            if let Ok(map) = parse(&bytes) {
                prop_assert_eq!(Value::Object(map), serde_json::from_slice::<Value>(&bytes).unwrap());
            }
        }

        #[test]
        fn any_object_is_read_as_written(pairs in proptest::collection::btree_map(".*", any::<i64>(), 0..8)) {
            let object = json!(pairs);
            prop_assert_eq!(Value::Object(parse(object.to_string().as_bytes()).unwrap()), object);
        }
    }
}
