//! Names of functions and parameters, and texts to choose from, that a forced call cannot have: they would not be read
//! back.

use serde_json::Value;

use super::elements::Elements;
use super::format::{Body, ToolFormat};
use super::gemma::QUOTE;
use super::held::Unheld;
use super::parsed::name_length;

/// The maximum length in bytes of a function's name that is not in JSON.
pub(super) const LENGTH: usize = 256;

/// Refuses the name of a function.
pub(super) fn check_function(format: ToolFormat, name: &str) -> Result<(), Unheld> {
    let is_read = match format.syntax().map(|syntax| syntax.body) {
        Some(Body::Object | Body::List) => return Ok(()),
        Some(Body::Elements(Elements { name: (begin, end), .. })) if !begin.is_empty() => {
            is_name_before(name, end)
        }
        Some(Body::Elements(_) | Body::Gemma | Body::Named(_)) => name_length(name) == name.len(),
        None => !name.contains(|c: char| c.is_whitespace() || c == '<'),
    };
    if is_read && name.len() <= LENGTH {
        return Ok(());
    }
    Err(Unheld::Function { name: name.to_owned() })
}

/// Refuses the name of a parameter between tags.
pub(super) fn check_key(elements: Elements, function: &str, key: &str) -> Result<(), Unheld> {
    check_parameter(is_before(key, elements.key.1), function, key)
}

/// Refuses the name of a parameter in Gemma's notation.
pub(super) fn check_gemma_key(function: &str, key: &str) -> Result<(), Unheld> {
    let is_read = !key.is_empty() && is_before(key, ":") && !key.starts_with('}') && !key.starts_with(QUOTE);
    check_parameter(is_read, function, key)
}

/// Refuses the texts that a schema lists if one contains the tag that would be behind it.
pub(super) fn check_choices(
    schema: &Value,
    texts: &[&str],
    end: &str,
    (function, key): (&str, &str),
) -> Result<(), Unheld> {
    if !texts.iter().any(|text| text.contains(end)) {
        return Ok(());
    }
    let keyword = if schema.get("const").is_some() { "const" } else { "enum" };
    Err(Unheld::keyword(function, Some(key), keyword))
}

fn check_parameter(is_read: bool, function: &str, key: &str) -> Result<(), Unheld> {
    if is_read {
        return Ok(());
    }
    Err(Unheld::Parameter { name: key.to_owned(), function: function.to_owned() })
}

/// Whether the name of a function is read up to this text, which follows it in an element.
pub(super) fn is_name_before(name: &str, end: &str) -> bool {
    is_before(name, end) && !name.contains(['<', '\n'])
}

/// Whether a name is read up to this text.
fn is_before(name: &str, end: &str) -> bool {
    name.trim() == name && !name.contains(end)
}
