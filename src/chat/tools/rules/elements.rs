//! Arguments as text between tags.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::Parts;
use super::lark::{apart, choices, literal, pattern, properties, required, takes_more};
use crate::chat::tools::elements::Elements;
use crate::chat::tools::held::{self, Unheld};
use crate::chat::tools::values::is_text;
use crate::chat::tools::writable;

/// Versions of a template differ in lines that mean nothing.
const MAY_BREAK: &str = "\"\\n\"?";
const BREAK: &str = "\"\\n\"";

impl Parts {
    /// The name and the arguments of a function.
    pub(super) fn elements(
        &mut self,
        elements: Elements,
        index: usize,
        name: &str,
        parameters: Option<&Value>,
    ) -> Result<String, Unheld> {
        let root = parameters.cloned().unwrap_or_else(|| json!({}));
        held::parameters(name, &root)?;
        let required = required(&root);
        let mut body = format!("{}{}", begin(elements, name), after_begin(elements));
        for (at, (key, schema)) in properties(&root).enumerate() {
            writable::check_key(elements, name, key)?;
            let begin = literal(&format!("{}{key}{}", elements.key.0, key_end(elements)));
            let rule = format!("value{index}x{at}");
            let value = self.value(elements, &rule, (name, key), schema, &root)?;
            let optional = if required.contains(&key.as_str()) { "" } else { "?" };
            write!(body, " ({begin}{} {value} {}){optional}", value_begin(elements), after(elements))
                .expect("a string takes all text");
        }
        if takes_more(&root) {
            let known: Vec<_> = properties(&root).map(|(key, _)| pattern(key)).collect();
            let more = self.unlisted(elements, &format!("KEY_{index}"), &known.join("|"));
            body.push_str(&more);
        }
        body.push_str(&end(elements));
        Ok(body)
    }

    /// The name of one of these functions and any arguments.
    pub(super) fn any_elements(&mut self, elements: Elements, names: &[&str]) -> String {
        let begins: Vec<_> = names.iter().map(|name| begin(elements, name)).collect();
        let arguments = self.unlisted(elements, "KEY", "");
        format!("({}){}{arguments}{}", begins.join(" | "), after_begin(elements), end(elements))
    }

    /// Arguments without a schema, whose keys match `rule` and are not `known`, a regular expression.
    fn unlisted(&mut self, elements: Elements, rule: &str, known: &str) -> String {
        self.text_end = Some(elements.value_end);
        let (begin, end) = (pattern(elements.key.0), pattern(&key_end(elements)));
        writeln!(self.lark, "{rule}: /{begin}[^<>\"\\s]+{end}/ & ~/{begin}({known}){end}/")
            .expect("a string takes all text");
        format!(" ({rule}{} TEXT {})*", value_begin(elements), after(elements))
    }

    /// The value of a parameter and its closing tag.
    fn value(
        &mut self,
        elements: Elements,
        name: &str,
        (function, key): (&str, &str),
        schema: &Value,
        root: &Value,
    ) -> Result<String, Unheld> {
        let end = literal(&format!("{}{}", line(elements), elements.value_end));
        if let Some(texts) = choices(schema) {
            writable::check_choices(schema, &texts, elements.value_end, (function, key))?;
            let texts: Vec<_> = texts.into_iter().map(literal).collect();
            return Ok(format!("({}) {end}", texts.join(" | ")));
        }
        if is_text(schema, root) {
            held::text(function, key, schema, root)?;
            self.text_end = Some(elements.value_end);
            return Ok("TEXT".to_owned());
        }
        let schema = apart(schema, root);
        self.schemas.push((name.to_owned(), schema.to_string()));
        Ok(format!("@{name} {end}"))
    }
}

/// The text up to the name of a function.
fn begin(elements: Elements, name: &str) -> String {
    literal(&format!("{}{name}{}{}", elements.name.0, elements.name.1, line(elements)))
}

/// What comes after the name.
fn after_begin(elements: Elements) -> String {
    if elements.has_lines { String::new() } else { format!(" {MAY_BREAK}") }
}

/// What comes after the last argument.
fn end(elements: Elements) -> String {
    if elements.end.is_empty() { String::new() } else { format!(" {}", literal(elements.end)) }
}

/// The line break around names and values, if it means something.
fn line(elements: Elements) -> &'static str {
    if elements.has_lines { "\n" } else { "" }
}

/// The text after a key.
fn key_end(elements: Elements) -> String {
    format!("{}{}", elements.key.1, line(elements))
}

/// The tag before a value, if there is one.
fn value_begin(elements: Elements) -> String {
    match elements.value {
        "" => String::new(),
        tag => format!(" {MAY_BREAK} {}", literal(tag)),
    }
}

/// The break after a value.
fn after(elements: Elements) -> &'static str {
    if elements.has_lines { BREAK } else { MAY_BREAK }
}
