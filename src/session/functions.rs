//! Converts lists of functions as people write them to the form that templates expect.

use serde_json::{Value, json};

/// A tool of a list is not a function with a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("tool {number} is not a function with a name")]
pub struct NotAFunction {
    /// Its place in the list, from one.
    pub number: usize,
}

/// Wraps bare functions, `{"name": …}`, as `{"type": "function", "function": {"name": …}}`. Tools of another type are not
/// functions.
///
/// # Errors
///
/// When a tool is not a function, or has no name.
pub fn functions(tools: Vec<Value>) -> Result<Vec<Value>, NotAFunction> {
    let whole = |tool: Value| match tool.get("type") {
        Some(kind) if *kind != "function" && !kind.is_null() => None,
        _ if tool.get("function").is_some() => Some(tool),
        _ => Some(json!({"type": "function", "function": tool})),
    };
    let checked = |(index, tool): (usize, Value)| match whole(tool) {
        Some(tool) if function_name(&tool).is_some() => Ok(tool),
        _ => Err(NotAFunction { number: index + 1 }),
    };
    tools.into_iter().enumerate().map(checked).collect()
}

/// The name of a wrapped function.
pub(super) fn function_name(tool: &Value) -> Option<&str> {
    tool["function"]["name"].as_str().filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_wrapped_once() {
        let whole = json!({"type": "function", "function": {"name": "f"}});
        assert_eq!(functions(vec![json!({"name": "f"}), whole.clone()]), Ok(vec![whole.clone(), whole]));
    }

    #[test]
    fn a_tool_without_a_name_is_refused_by_its_number() {
        for (tools, number) in [
            (vec![json!({})], 1),
            (vec![json!({"name": "f"}), json!(7)], 2),
            (vec![json!({"function": {"name": ""}})], 1),
            (vec![json!({"type": "custom", "name": "f"})], 1),
            (vec![json!({"type": "custom", "function": {"name": "f"}})], 1),
        ] {
            assert_eq!(functions(tools), Err(NotAFunction { number }));
        }
    }
}
