//! Variables for the chat template that a caller may set.

use serde_json::{Map, Value};

/// Variables that every prompt already has.
const RESERVED: [&str; 6] =
    ["messages", "tools", "add_generation_prompt", "bos_token", "eos_token", "strftime_now"];

/// The variable would hide one that every prompt has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("template variable `{name}` is reserved")]
pub struct Reserved {
    /// Its name.
    pub name: String,
}

/// Checks that none of these variables is reserved.
///
/// # Errors
///
/// With the first that is.
pub fn variables(variables: Map<String, Value>) -> Result<Map<String, Value>, Reserved> {
    match variables.keys().find(|name| RESERVED.contains(&name.as_str())) {
        Some(name) => Err(Reserved { name: name.clone() }),
        None => Ok(variables),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn reserved_variables_are_refused_by_name() {
        let read = |value: Value| variables(value.as_object().unwrap().clone());
        assert!(read(json!({"enable_thinking": false, "x": 1})).is_ok());
        assert_eq!(read(json!({"x": 1, "messages": []})).unwrap_err().name, "messages");
    }
}
