//! JSON for people: errors by kind and position, without the parser's jargon, and numbers as short as possible.

use serde_json::error::Category;
use serde_json::{Number, Value};

/// Describes an error and its position: `incomplete JSON, it ends at line 2, column 13`. Text of one line has only
/// columns.
#[must_use]
pub fn problem(error: &serde_json::Error) -> String {
    let place = match (error.line(), error.column()) {
        (0 | 1, column) => format!("column {column}"),
        (line, column) => format!("line {line}, column {column}"),
    };
    match error.classify() {
        Category::Eof => format!("incomplete JSON, it ends at {place}"),
        Category::Data => format!("missing or wrong field at {place}"),
        Category::Syntax | Category::Io => format!("invalid JSON at {place}"),
    }
}

/// A number with the fewest digits that give the same `f32`: 0.95, not 0.949999988079071. Without a number in JSON, its
/// name: `inf`, `-inf` or `NaN`.
#[must_use]
pub fn number(value: f32) -> Value {
    let text = value.to_string();
    text.parse().ok().and_then(Number::from_f64).map_or(Value::String(text), Value::Number)
}

#[cfg(test)]
mod tests {
    use super::{number, problem};

    #[test]
    fn a_number_has_the_fewest_digits_that_give_it() {
        for (value, text) in [
            (0.95, "0.95"),
            (0.0, "0.0"),
            (1e-6, "1e-6"),
            (10_000.0, "10000.0"),
            (f32::MAX, "3.4028235e+38"),
            (f32::NEG_INFINITY, "\"-inf\""),
            (f32::NAN, "\"NaN\""),
        ] {
            assert_eq!(number(value).to_string(), text);
        }
    }

    #[test]
    fn the_kind_and_the_place_of_an_error_are_named() {
        let of = |text| problem(&serde_json::from_str::<Vec<u8>>(text).unwrap_err());
        assert_eq!(of("[1, "), "incomplete JSON, it ends at column 4");
        assert_eq!(of("[1,\n x]"), "invalid JSON at line 2, column 2");
        assert_eq!(of("[\"a\"]"), "missing or wrong field at column 4");
    }
}
