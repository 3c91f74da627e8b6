//! JSON in the spelling of Python's `json.dumps(value, ensure_ascii=False)`, which templates are trained on.

use std::fmt::Write as _;

use serde_json::{Number, Value};

/// Writes a value as Python does: `", "` and `": "` on one line, or one entry a line when `indent` is given.
#[must_use]
pub(super) fn dumps(value: &Value, indent: Option<usize>) -> String {
    let mut out = String::new();
    write(value, indent, 0, &mut out);
    out
}

fn write(value: &Value, indent: Option<usize>, depth: usize, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(number) => out.push_str(&spell(number)),
        Value::String(text) => quote(text, out),
        Value::Array(items) => list(items.iter(), '[', ']', indent, depth, out, |item, depth, out| {
            write(item, indent, depth, out);
        }),
        Value::Object(entries) => {
            list(entries.iter(), '{', '}', indent, depth, out, |(key, item), depth, out| {
                quote(key, out);
                out.push_str(": ");
                write(item, indent, depth, out);
            });
        }
    }
}

fn list<T>(
    items: impl ExactSizeIterator<Item = T>,
    open: char,
    close: char,
    indent: Option<usize>,
    depth: usize,
    out: &mut String,
    each: impl Fn(T, usize, &mut String),
) {
    out.push(open);
    let empty = items.len() == 0;
    let line = |depth: usize, out: &mut String| {
        if let Some(width) = indent {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', width * depth));
        }
    };
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push_str(if indent.is_some() { "," } else { ", " });
        }
        line(depth + 1, out);
        each(item, depth + 1, out);
    }
    if !empty {
        line(depth, out);
    }
    out.push(close);
}

fn quote(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if u32::from(c) < 0x20 => {
                write!(out, "\\u{:04x}", u32::from(c)).expect("a string takes all text");
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Integers as they are; floats with Python's choice between plain and scientific notation.
fn spell(number: &Number) -> String {
    let Some(float) = number.as_f64().filter(|_| number.is_f64()) else { return number.to_string() };
    let scientific = format!("{float:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else { return scientific };
    match exponent.parse::<i32>() {
        Ok(power) if (-4..16).contains(&power) || float == 0.0 => format!("{float:?}"),
        Ok(power) => format!("{digits}e{}{:02}", if power < 0 { '-' } else { '+' }, power.abs()),
        Err(_) => scientific,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn text_is_spelled_as_python_spells_it() {
        // Each right side is what CPython 3.11 prints.
        for (value, python) in [
            (json!({"a": 1, "b": [true, null, "x"]}), r#"{"a": 1, "b": [true, null, "x"]}"#),
            (json!({}), "{}"),
            (json!([]), "[]"),
            (json!("<b>&'\"\\ é \u{7f} \u{1}\n\t"), "\"<b>&'\\\"\\\\ é \u{7f} \\u0001\\n\\t\""),
            (
                json!([1.0, -0.5, 0.0001, 0.00001, 1e15, 1e16, 1.5e300, -0.0]),
                "[1.0, -0.5, 0.0001, 1e-05, 1000000000000000.0, 1e+16, 1.5e+300, -0.0]",
            ),
            (json!(18_446_744_073_709_551_615_u64), "18446744073709551615"),
        ] {
            assert_eq!(dumps(&value, None), python);
        }
    }

    #[test]
    fn an_indent_gives_one_entry_a_line() {
        assert_eq!(
            dumps(&json!({"a": [1, {}], "b": []}), Some(2)),
            "{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": []\n}"
        );
    }
}
