//! Values of a template as text.

use minijinja::Value;
use minijinja::value::ValueKind;

use super::python;

/// Floats, lists and dictionaries as Python's `str` formats them; `None` if minijinja formats a value the same way.
pub(super) fn spelled(value: &Value) -> Option<String> {
    match value.kind() {
        ValueKind::Seq | ValueKind::Map => {}
        ValueKind::Number if !value.is_integer() => {}
        _ => return None,
    }
    serde_json::to_value(value).ok().filter(|json| !json.is_null()).map(|json| python::repr(&json))
}
