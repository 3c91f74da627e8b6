//! Describes JSON errors for people: the kind and the position, without the parser's jargon.

use serde_json::error::Category;

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

#[cfg(test)]
mod tests {
    use super::problem;

    #[test]
    fn the_kind_and_the_place_of_an_error_are_named() {
        let of = |text| problem(&serde_json::from_str::<Vec<u8>>(text).unwrap_err());
        assert_eq!(of("[1, "), "incomplete JSON, it ends at column 4");
        assert_eq!(of("[1,\n x]"), "invalid JSON at line 2, column 2");
        assert_eq!(of("[\"a\"]"), "missing or wrong field at column 4");
    }
}
