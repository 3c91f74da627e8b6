//! The grammar of an answer that has to call functions, in the format of its template.
//!
//! Where arguments are text between tags, a text is unconstrained except for its closing tag: schemas with lengths,
//! patterns and formats of strings are refused there.

mod elements;
mod gemma;
mod lark;
mod layout;

use serde_json::{Value, json};

use super::format::{Body, ToolFormat};
use super::held::Unheld;
use super::parsed::functions;
use super::writable;
use lark::{literal, text_before};
use layout::Layout;

/// A grammar in Lark, parts of which are JSON schemas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallRules {
    /// The rules, beginning with `start`. A schema is named `@name`.
    pub lark: String,
    /// The names of the schemas, and the schemas as JSON.
    pub schemas: Vec<(String, String)>,
    /// The rules that stand for tags, and the tags' texts.
    pub tags: Vec<(String, String)>,
}

/// The functions that an answer calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Calls<'a> {
    /// One or more calls of any functions.
    Any,
    /// One call of any function.
    AnyOnce,
    /// One call of this function.
    One(&'a str),
}

/// What the functions of a grammar add to it.
#[derive(Debug, Default)]
struct Parts {
    /// Rules.
    lark: String,
    schemas: Vec<(String, String)>,
    /// The tag that ends a text, if `TEXT` is used.
    text_end: Option<&'static str>,
}

impl CallRules {
    /// The rules of an answer with these calls and nothing else; `None` if there is no such function.
    ///
    /// # Errors
    ///
    /// When a function has a name or a keyword that does not hold in the format.
    pub fn new(format: ToolFormat, tools: &[Value], calls: Calls<'_>) -> Result<Option<Self>, Unheld> {
        let named = functions(tools).filter_map(|function| Some((function["name"].as_str()?, function)));
        let chosen = |name: &str| match calls {
            Calls::Any | Calls::AnyOnce => true,
            Calls::One(only) => name == only,
        };
        let chosen: Vec<_> = named.filter(|(name, _)| chosen(name)).collect();
        if chosen.is_empty() {
            return Ok(None);
        }
        let mut parts = Parts::default();
        let bodies = chosen.iter().enumerate().map(|(index, (name, function))| {
            writable::check_function(format, name)?;
            let parameters = function.get("parameters");
            match format.syntax().map(|syntax| syntax.body) {
                Some(Body::Elements(elements)) => parts.elements(elements, index, name, parameters),
                Some(Body::Gemma) => parts.gemma(index, name, parameters),
                Some(Body::Object | Body::List | Body::Named(_)) | None => {
                    Ok(parts.json(format, index, name, parameters))
                }
            }
        });
        let bodies = bodies.collect::<Result<Vec<_>, _>>()?.join(" | ");
        let Layout { before, call, between, after } = Layout::of(format);
        let more = match between.filter(|_| calls == Calls::Any) {
            None => String::new(),
            Some("") => " call*".to_owned(),
            Some(between) => format!(" ({between} call)*"),
        };
        let call = call.replace("BODY", &bodies);
        let text = parts.text_end.map(text_before).unwrap_or_default();
        let Parts { lark, schemas, .. } = parts;
        let lark = format!("start: {before}call{more}{after}\ncall: {call}\n{text}{lark}");
        let tags = layout::tags(format).into_iter().map(|(name, text)| (name.to_owned(), text.to_owned()));
        Ok(Some(Self { lark, schemas, tags: tags.collect() }))
    }
}

impl Parts {
    /// The name and the arguments as JSON.
    fn json(&mut self, format: ToolFormat, index: usize, name: &str, parameters: Option<&Value>) -> String {
        let arguments = format!("arguments{index}");
        let mut schema = parameters.cloned().unwrap_or_else(|| json!({}));
        if let Value::Object(fields) = &mut schema {
            let says = ["type", "$ref", "anyOf", "oneOf", "allOf", "enum", "const"];
            if !says.iter().any(|key| fields.contains_key(*key)) {
                fields.insert("type".to_owned(), "object".into());
            }
        }
        self.schemas.push((arguments.clone(), schema.to_string()));
        let quoted = Value::from(name);
        let object = |key: &str| literal(&format!("{{\"name\": {quoted}, \"{key}\": "));
        match format {
            ToolFormat::Llama => format!("{} @{arguments} \"}}\"", object("parameters")),
            ToolFormat::MistralList => {
                let id = "(\", \\\"id\\\": \\\"\" /[a-zA-Z0-9]{9}/ \"\\\"\")?";
                format!("{} @{arguments} {id} \"}}\"", object("arguments"))
            }
            ToolFormat::Harmony => {
                let to = literal(&format!("commentary to=functions.{name} "));
                format!("{to} constrain \"json\" message @{arguments}")
            }
            ToolFormat::Mistral => {
                format!("{} (id /[a-zA-Z0-9]{{9}}/)? separator @{arguments}", literal(name))
            }
            ToolFormat::DeepSeek => format!("{} separator @{arguments}", literal(name)),
            ToolFormat::DeepSeekFenced => {
                let name = literal(&format!("{name}\n```json\n"));
                format!("\"function\" separator {name} @{arguments} \"\\n```\"")
            }
            ToolFormat::Kimi => {
                format!("{} /[0-9]{{1,4}}/ separator @{arguments}", literal(&format!("functions.{name}:")))
            }
            _ => format!("{} @{arguments} \"}}\"", object("arguments")),
        }
    }
}

#[cfg(test)]
mod tests;
