//! Arguments in Gemma's notation: keys are bare, and texts are between tags of their own.
//!
//! Values without texts in them are written as in JSON. Objects, and lists of texts, are refused: their schemas would
//! need rules of their own.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::Parts;
use super::lark::{apart, choices, literal, properties, required, takes_more};
use crate::chat::tools::gemma::{CALL, QUOTE};
use crate::chat::tools::held::{self, Unheld};
use crate::chat::tools::values::{is_text, kinds};
use crate::chat::tools::writable;

/// An object with any values.
const OBJECT: &str = r#"object: "{" (pair ("," pair)*)? "}"
pair: KEY ":" value
value: quote TEXT | object | "[" (value ("," value)*)? "]" | NUMBER | "true" | "false" | "null"
KEY: /[^\s:{}\[\],<>|"']+/
NUMBER: /-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/
"#;

impl Parts {
    /// The name of one of these functions and any arguments.
    pub(super) fn any_gemma(&mut self, names: &[&str]) -> String {
        self.text_end = Some(QUOTE);
        self.lark.push_str(OBJECT);
        let begins: Vec<_> = names.iter().map(|name| literal(&format!("{CALL}{name}"))).collect();
        format!("({}) object", begins.join(" | "))
    }

    pub(super) fn gemma(
        &mut self,
        index: usize,
        name: &str,
        parameters: Option<&Value>,
    ) -> Result<String, Unheld> {
        let root = parameters.cloned().unwrap_or_else(|| json!({}));
        held::parameters(name, &root)?;
        if takes_more(&root) {
            return Err(Unheld::keyword(name, None, "additionalProperties"));
        }
        let required = required(&root);
        let fields: Vec<_> = properties(&root).collect();
        // A comma depends on whether an argument was written before.
        for (at, (key, schema)) in fields.iter().enumerate() {
            writable::check_gemma_key(name, key)?;
            let value = self.gemma_value(&format!("value{index}x{at}"), (name, key), schema, &root)?;
            let (item, next) = (format!("{} {value}", literal(&format!("{key}:"))), at + 1);
            for (rule, comma) in [("first", ""), ("more", "\",\" ")] {
                let without = if required.contains(&key.as_str()) {
                    String::new()
                } else {
                    format!(" | {rule}{index}x{next}")
                };
                writeln!(self.lark, "{rule}{index}x{at}: {comma}{item} more{index}x{next}{without}")
                    .expect("a string takes all text");
            }
        }
        for rule in ["first", "more"] {
            writeln!(self.lark, "{rule}{index}x{}: \"\"", fields.len()).expect("a string takes all text");
        }
        Ok(format!("{} first{index}x0 \"}}\"", literal(&format!("{CALL}{name}{{"))))
    }

    fn gemma_value(
        &mut self,
        rule: &str,
        (function, key): (&str, &str),
        schema: &Value,
        root: &Value,
    ) -> Result<String, Unheld> {
        if let Some(texts) = choices(schema) {
            writable::check_choices(schema, &texts, QUOTE, (function, key))?;
            let texts: Vec<_> = texts.into_iter().map(literal).collect();
            return Ok(format!("quote ({}) quote", texts.join(" | ")));
        }
        if is_text(schema, root) {
            held::text(function, key, schema, root)?;
            self.text_end = Some(QUOTE);
            return Ok("quote TEXT".to_owned());
        }
        if !is_plain(schema, root) {
            return Err(Unheld::keyword(function, Some(key), "type"));
        }
        self.schemas.push((rule.to_owned(), apart(schema, root).to_string()));
        Ok(format!("@{rule}"))
    }
}

/// Whether all values of a schema are written as in JSON.
fn is_plain(schema: &Value, root: &Value) -> bool {
    let kinds = kinds(schema, root);
    let has_items = || schema["type"] == "array" && schema.get("prefixItems").is_none();
    !kinds.is_empty()
        && kinds.iter().all(|kind| match *kind {
            "integer" | "number" | "boolean" | "null" => true,
            "array" => has_items() && schema.get("items").is_some_and(|items| is_plain(items, root)),
            _ => false,
        })
}
