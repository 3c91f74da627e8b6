//! Finds the keys of a configuration that may change the weights.

use serde_json::{Map, Value};

use super::rule::{Rule, Table};
use crate::checkpoint::ModelConfig;
use crate::checkpoint::config::shorten;
use crate::error::RefusedKey;

/// The keys of `config` that may change the weights, in file order.
pub(in crate::quant) fn refused(config: &ModelConfig, table: Table) -> Vec<RefusedKey> {
    let mut walk = Walk { config, path: Vec::new(), refused: Vec::new() };
    for (key, value) in config.iter() {
        walk.field(key, value, table);
    }
    walk.refused
}

/// Returns true for a value that states nothing.
pub(in crate::quant) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Number(n) => n.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(true) => false,
    }
}

struct Walk<'a> {
    config: &'a ModelConfig,
    path: Vec<&'a str>,
    refused: Vec<RefusedKey>,
}

impl<'a> Walk<'a> {
    fn field(&mut self, key: &'a str, value: &'a Value, table: Table) {
        if value.is_null() {
            return;
        }
        self.path.push(key);
        let rule = table.iter().copied().flatten().find(|(name, _)| *name == key);
        match (rule, value) {
            (None, _) => self.refuse(None),
            (Some((_, Rule::Any)), _) => {}
            (Some((_, Rule::Object(table))), Value::Object(map)) => self.object(map, table),
            (Some((_, Rule::Each(table))), Value::Object(map)) => self.each(map, table),
            (Some((_, Rule::Words(words))), Value::String(text))
                if words.iter().any(|word| word.eq_ignore_ascii_case(text)) => {}
            (Some((_, rule)), value) => match rule {
                Rule::Words(words) => self.value(value, &words.join(", ")),
                _ if is_empty(value) => {}
                Rule::Object(_) | Rule::Each(_) => self.value(value, "an object"),
                _ => self.value(value, "no value"),
            },
        }
        self.path.pop();
    }

    fn object(&mut self, map: &'a Map<String, Value>, table: Table) {
        for (key, value) in map {
            self.field(key, value, table);
        }
    }

    fn each(&mut self, map: &'a Map<String, Value>, table: Table) {
        for (name, value) in map {
            self.path.push(name);
            match value {
                Value::Object(map) => self.object(map, table),
                value if is_empty(value) => {}
                value => self.value(value, "an object"),
            }
            self.path.pop();
        }
    }

    fn value(&mut self, found: &Value, expected: &str) {
        self.refuse(Some((shorten(found), expected.to_owned())));
    }

    fn refuse(&mut self, value: Option<(String, String)>) {
        self.refused.push(RefusedKey { key: self.config.name(&self.path.join(".")), value });
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::*;

    const INNER: Table = &[&[("bits", Rule::Any), ("turn", Rule::Empty)]];
    const TABLE: Table = &[
        &[("bits", Rule::Any), ("turn", Rule::Empty), ("kind", Rule::Words(&["gemm", "plain"]))],
        &[("one", Rule::Object(INNER)), ("many", Rule::Each(INNER))],
    ];

    fn keys(value: &Value) -> Vec<String> {
        let config = ModelConfig::new(Path::new("c.json"), value.as_object().unwrap().clone());
        refused(&config, TABLE).into_iter().map(|refused| refused.key).collect()
    }

    #[test]
    fn known_keys_with_harmless_values_are_kept() {
        let all = json!({
            "bits": [1], "turn": {}, "kind": "GEMM", "one": {"bits": 3, "turn": false, "x": null},
            "many": {"a.b": {"bits": 4}, "c": null, "d": {}}, "unknown": null,
        });
        assert_eq!(keys(&all), [""; 0]);
    }

    #[test]
    fn unknown_keys_and_values_are_named_at_any_depth() {
        let all = json!({
            "turn": {"a": 1}, "kind": "gemv", "one": {"x": 0}, "many": {"a.b": {"turn": true, "y": false}, "c": 4},
            "z": false,
        });
        assert_eq!(keys(&all), ["turn", "kind", "one.x", "many.a.b.turn", "many.a.b.y", "many.c", "z"]);
        assert_eq!(keys(&json!({"one": 3, "many": [1]})), ["one", "many"]);
    }
}
