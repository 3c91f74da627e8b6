//! Values as Python's `json.dumps` and `str` format them, which models are trained on.

use std::fmt::Write as _;

use serde_json::{Number, Value};

/// The options of `json.dumps`; the default is that of transformers in templates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Spelling {
    /// Puts every entry on its own line, indented by this many spaces more than its container.
    pub(super) indent: Option<usize>,
    /// Between entries.
    pub(super) comma: String,
    /// Between a key and its value.
    pub(super) colon: String,
    /// Escape characters outside ASCII.
    pub(super) ascii: bool,
    /// Sort keys.
    pub(super) sorted: bool,
}

impl Default for Spelling {
    fn default() -> Self {
        Self { indent: None, comma: ", ".into(), colon: ": ".into(), ascii: false, sorted: false }
    }
}

/// Writes a value as Python does.
#[must_use]
pub(super) fn dumps(value: &Value, spelling: &Spelling) -> String {
    dumps_within(value, spelling, usize::MAX).expect("there is no limit")
}

/// Like [`dumps`]; `None` if the text has more than this many bytes.
pub(super) fn dumps_within(value: &Value, spelling: &Spelling, limit: usize) -> Option<String> {
    let mut writer = Writer { spelling, depth: 0, out: String::new(), limit };
    writer.value(value);
    Some(writer.out).filter(|out| out.len() <= limit)
}

struct Writer<'a> {
    spelling: &'a Spelling,
    depth: usize,
    out: String,
    /// Bytes after which lists end.
    limit: usize,
}

impl Writer<'_> {
    fn value(&mut self, value: &Value) {
        match value {
            Value::Null => self.out.push_str("null"),
            Value::Bool(true) => self.out.push_str("true"),
            Value::Bool(false) => self.out.push_str("false"),
            Value::Number(number) => self.out.push_str(&spell(number)),
            Value::String(text) => self.text(text),
            Value::Array(items) => self.list('[', ']', items, Self::value),
            Value::Object(entries) => {
                let mut entries: Vec<_> = entries.iter().collect();
                if self.spelling.sorted {
                    entries.sort_by_key(|(key, _)| *key);
                }
                self.list('{', '}', &entries, |writer, (key, item)| {
                    writer.text(key);
                    writer.out.push_str(&writer.spelling.colon);
                    writer.value(item);
                });
            }
        }
    }

    fn list<T>(&mut self, open: char, close: char, items: &[T], each: impl Fn(&mut Self, &T)) {
        self.out.push(open);
        self.depth += 1;
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                self.out.push_str(&self.spelling.comma);
            }
            self.line();
            each(self, item);
            if self.out.len() > self.limit {
                break;
            }
        }
        self.depth -= 1;
        if !items.is_empty() {
            self.line();
        }
        self.out.push(close);
    }

    fn line(&mut self) {
        if let Some(width) = self.spelling.indent {
            self.out.push('\n');
            self.out.extend(std::iter::repeat_n(' ', width * self.depth));
        }
    }

    fn text(&mut self, text: &str) {
        self.out.push('"');
        for character in text.chars() {
            match character {
                '"' => self.out.push_str("\\\""),
                '\\' => self.out.push_str("\\\\"),
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                '\u{8}' => self.out.push_str("\\b"),
                '\u{c}' => self.out.push_str("\\f"),
                c if u32::from(c) < 0x20 || (self.spelling.ascii && !c.is_ascii()) => {
                    self.out.push_str(&escaped(c));
                }
                c => self.out.push(c),
            }
        }
        self.out.push('"');
    }
}

/// A character as an escape of JSON.
pub(super) fn escaped(character: char) -> String {
    let mut out = String::new();
    for unit in character.encode_utf16(&mut [0; 2]) {
        write!(out, "\\u{unit:04x}").expect("a string takes all text");
    }
    out
}

/// Writes a value as Python's `repr` does; for values from JSON other than strings `str` is the same.
#[must_use]
pub(super) fn repr(value: &Value) -> String {
    let list = |items: Vec<String>| items.join(", ");
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Number(number) => spell(number),
        Value::String(text) => quote(text),
        Value::Array(items) => format!("[{}]", list(items.iter().map(repr).collect())),
        Value::Object(entries) => {
            let entry = |(key, item): (&String, &Value)| format!("{}: {}", quote(key), repr(item));
            format!("{{{}}}", list(entries.iter().map(entry).collect()))
        }
    }
}

fn quote(text: &str) -> String {
    let mark = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut out = String::from(mark);
    for character in text.chars() {
        match character {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\\' => out.push_str("\\\\"),
            c if c == mark => out.extend(['\\', c]),
            c if c == ' ' || !(c.is_control() || c.is_whitespace()) => out.push(c),
            c => {
                let code = u32::from(c);
                let written =
                    if code < 0x100 { write!(out, "\\x{code:02x}") } else { write!(out, "\\u{code:04x}") };
                written.expect("a string takes all text");
            }
        }
    }
    out.push(mark);
    out
}

/// Formats integers in plain notation, and floats with Python's choice between plain and scientific notation.
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
    fn json_is_formatted_as_by_python() {
        // Each right-hand side is the output of CPython 3.11.
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
            assert_eq!(dumps(&value, &Spelling::default()), python);
        }
    }

    #[test]
    fn an_indent_puts_each_entry_on_a_line() {
        assert_eq!(
            dumps(
                &json!({"a": [1, {}], "b": []}),
                &Spelling { indent: Some(2), comma: ",".into(), ..Spelling::default() }
            ),
            "{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": []\n}"
        );
    }

    #[test]
    fn keys_are_sorted_separators_chosen_and_other_scripts_escaped_on_request() {
        let spelling =
            Spelling { comma: ",".into(), colon: ":".into(), ascii: true, sorted: true, indent: None };
        assert_eq!(
            dumps(&json!({"b": "é😀\u{7f}", "a": {"d": 1, "c": [1, 2]}}), &spelling),
            "{\"a\":{\"c\":[1,2],\"d\":1},\"b\":\"\\u00e9\\ud83d\\ude00\u{7f}\"}"
        );
    }

    #[test]
    fn repr_is_that_of_python() {
        // Each right-hand side is the output of CPython 3.11.
        for (value, python) in [
            (json!({"a": [1, 2.5, null], "b": {}}), "{'a': [1, 2.5, None], 'b': {}}"),
            (json!("it's"), "\"it's\""),
            (json!("it's \"so\"\\\n"), "'it\\'s \"so\"\\\\\\n'"),
            (json!("é\u{a0}\u{2028}\u{1}"), "'é\\xa0\\u2028\\x01'"),
            (json!([true, false, 1e22]), "[True, False, 1e+22]"),
        ] {
            assert_eq!(repr(&value), python);
        }
    }
}
