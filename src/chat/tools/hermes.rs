//! A call as a JSON object.

use serde_json::{Map, Value};

use super::format::Parsed;
use crate::chat::message::FunctionCall;

pub(super) fn parse(body: &str) -> Parsed {
    let mut fields = match serde_json::from_str(body) {
        Ok(Value::Object(fields)) => fields,
        // A string that contains the closing tag is cut off there.
        Err(error) if error.is_eof() => return Parsed::Incomplete,
        _ => return Parsed::Malformed,
    };
    let arguments = match fields.remove("arguments") {
        None => Some(Map::new()),
        Some(Value::Object(arguments)) => Some(arguments),
        Some(Value::String(text)) => serde_json::from_str(&text).ok(),
        Some(_) => None,
    };
    match (fields.remove("name"), arguments) {
        (Some(Value::String(name)), Some(arguments)) if !name.is_empty() => {
            Parsed::Call(FunctionCall { name, arguments: arguments.into() })
        }
        _ => Parsed::Malformed,
    }
}
