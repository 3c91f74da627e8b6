//! A call as an object of JSON, or several in a list.

use serde_json::{Map, Value};

use super::parsed::{Parsed, may_begin_with};
use crate::chat::message::FunctionCall;

/// The fields of a call.
const FIELDS: [&str; 5] = ["name", "type", "id", "arguments", "parameters"];

pub(super) fn parse(body: &str) -> Parsed {
    match serde_json::from_str(body) {
        Ok(Value::Object(fields)) => match call(fields) {
            Some(call) => Parsed::Calls(vec![call]),
            None => Parsed::Malformed,
        },
        // A string that contains the closing tag is cut off there.
        Err(error) if error.is_eof() => Parsed::Incomplete,
        _ => Parsed::Malformed,
    }
}

pub(super) fn parse_list(body: &str) -> Parsed {
    let Ok(list) = serde_json::from_str::<Vec<Map<String, Value>>>(body) else { return Parsed::Malformed };
    match list.into_iter().map(call).collect::<Option<Vec<_>>>() {
        Some(calls) if !calls.is_empty() => Parsed::Calls(calls),
        _ => Parsed::Malformed,
    }
}

/// Whether a text begins like an object with the fields of a call, as far as it has been written.
pub(super) fn may_begin(text: &str) -> bool {
    let Some(rest) = text.strip_prefix('{') else { return text.is_empty() };
    let rest = rest.trim_start();
    FIELDS.iter().any(|field| may_begin_with(rest, &format!("\"{field}\"")))
}

fn call(mut fields: Map<String, Value>) -> Option<FunctionCall> {
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
            Some(FunctionCall { name, arguments: arguments.into() })
        }
        _ => None,
    }
}
