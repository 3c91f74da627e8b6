//! JSON schemas, read strictly: every keyword is held, describes only, or is refused by its name.
//!
//! llguidance compiles what is left. It would ignore unknown keywords, takes some by approximation, and has no limit on
//! the time of some combinations; nothing of this reaches it. `docs/json-schema.md` is for users.

mod closing;
mod cost;
mod format;
mod keywords;
mod numbers;
mod pattern;
mod reader;
mod references;
mod values;

use serde_json::{Value, json};

pub(super) use closing::Unlisted;
pub(crate) use keywords::describes;

use crate::json::problem;

/// Bytes of a schema.
const LONGEST: usize = 256 << 10;

/// A schema in the subset that llguidance holds, with all definitions under `$defs`.
pub(super) fn strict(schema: &str, unlisted: Unlisted) -> Result<Value, String> {
    if schema.len() > LONGEST {
        return Err(format!("it has {} bytes, expected at most {LONGEST}", schema.len()));
    }
    // serde_json reports the position of a mistake, and limits the nesting.
    let root: Value = serde_json::from_str(schema).map_err(|error| problem(&error))?;
    let definitions = references::inlined(&reader::read(&root, unlisted)?)?;
    cost::check(&definitions)?;
    let named = definitions.into_iter().enumerate().map(|(number, schema)| (number.to_string(), schema));
    Ok(json!({"$ref": references::name(0), "$defs": Value::Object(named.collect())}))
}

#[cfg(test)]
mod tests;
