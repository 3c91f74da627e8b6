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
    // Models write the arguments under either name. A call with another field, or with both, is not understood.
    let arguments = fields.remove("arguments").or_else(|| fields.remove("parameters"));
    let arguments = match arguments {
        None => Some(Map::new()),
        Some(Value::Object(arguments)) => Some(arguments),
        Some(Value::String(text)) => serde_json::from_str(&text).ok(),
        Some(_) => None,
    };
    let name = fields.remove("name");
    fields.retain(|key, value| !(key == "id" || key == "type" && value == "function"));
    match (name, arguments) {
        (Some(Value::String(name)), Some(arguments)) if !name.is_empty() && fields.is_empty() => {
            Parsed::Call(FunctionCall { name, arguments: arguments.into() })
        }
        _ => Parsed::Malformed,
    }
}
