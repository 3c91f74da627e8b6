//! The grammar of an answer that has to call functions, in the format of its template, or may call them instead of
//! conforming to a schema.
//!
//! Where arguments are text between tags, a text is unconstrained except for its closing tag: schemas with lengths,
//! patterns and formats of strings are refused there if a call has to be made.

mod elements;
mod gemma;
mod lark;
mod layout;

use serde_json::{Value, json};

use super::format::{Body, ToolFormat};
use super::held::Unheld;
use super::parsed::functions;
use super::writable;
use crate::chat::channels::{COMMENTARY, FUNCTIONS};
use lark::{literal, text_before};
use layout::Layout;

/// The name of the schema of content.
const CONTENT: &str = "content";
/// The name of the schema of arguments that may be anything.
const ARGUMENTS: &str = "arguments";

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
        let chosen = chosen(format, tools, calls)?;
        let mut parts = Parts::default();
        let bodies = chosen.iter().enumerate().map(|(index, (name, function))| {
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
        Ok((!chosen.is_empty()).then(|| parts.rules(format, calls, &bodies, "")))
    }

    /// The rules of an answer with these calls, whose arguments may be any, or with content that conforms to a schema;
    /// `None` if there is no such function. `has_header` if the prompt has the header of the content, where the format
    /// has headers.
    ///
    /// # Errors
    ///
    /// When a function has a name that does not hold in the format.
    pub fn or_content(
        format: ToolFormat,
        tools: &[Value],
        calls: Calls<'_>,
        schema: &str,
        has_header: bool,
    ) -> Result<Option<Self>, Unheld> {
        let mut names: Vec<_> = chosen(format, tools, calls)?.into_iter().map(|(name, _)| name).collect();
        if names.is_empty() {
            return Ok(None);
        }
        names.sort_unstable();
        names.dedup();
        let mut parts = Parts::default();
        let body = match format.syntax().map(|syntax| syntax.body) {
            Some(Body::Elements(elements)) => parts.any_elements(elements, &names),
            Some(Body::Gemma) => parts.any_gemma(&names),
            Some(Body::Object | Body::List | Body::Named(_)) | None => parts.any_json(format, &names),
        };
        parts.schemas.push((CONTENT.to_owned(), schema.to_owned()));
        let header = if has_header { String::new() } else { layout::header(format) };
        Ok(Some(parts.rules(format, calls, &body, &format!(" | {header}@{CONTENT}"))))
    }
}

/// The functions that may be called, by their names.
fn chosen<'a>(
    format: ToolFormat,
    tools: &'a [Value],
    calls: Calls<'_>,
) -> Result<Vec<(&'a str, &'a Value)>, Unheld> {
    let named = functions(tools).filter_map(|function| Some((function["name"].as_str()?, function)));
    let chosen: Vec<_> = match calls {
        Calls::Any | Calls::AnyOnce => named.collect(),
        Calls::One(only) => named.filter(|(name, _)| *name == only).collect(),
    };
    chosen.iter().try_for_each(|(name, _)| writable::check_function(format, name))?;
    Ok(chosen)
}

impl Parts {
    /// The rules of calls of which `body` is one, or of `other`.
    fn rules(self, format: ToolFormat, calls: Calls<'_>, body: &str, other: &str) -> CallRules {
        let Layout { before, call, between, after } = Layout::of(format);
        let more = match between.filter(|_| calls == Calls::Any) {
            None => String::new(),
            Some("") => " call*".to_owned(),
            Some(between) => format!(" ({between} call)*"),
        };
        let call = call.replace("BODY", body);
        let text = self.text_end.map(text_before).unwrap_or_default();
        let Self { lark, schemas, .. } = self;
        let lark = format!("start: {before}call{more}{after}{other}\ncall: {call}\n{text}{lark}");
        let tags = layout::tags(format).into_iter().map(|(name, text)| (name.to_owned(), text.to_owned()));
        CallRules { lark, schemas, tags: tags.collect() }
    }

    /// The name and the arguments as JSON.
    fn json(&mut self, format: ToolFormat, index: usize, name: &str, parameters: Option<&Value>) -> String {
        let arguments = format!("{ARGUMENTS}{index}");
        let mut schema = parameters.cloned().unwrap_or_else(|| json!({}));
        if let Value::Object(fields) = &mut schema {
            let says = ["type", "$ref", "anyOf", "oneOf", "allOf", "enum", "const"];
            if !says.iter().any(|key| fields.contains_key(*key)) {
                fields.insert("type".to_owned(), "object".into());
            }
        }
        self.schemas.push((arguments.clone(), schema.to_string()));
        format!("{} @{arguments}{}", json_begin(format, name), json_end(format))
    }

    /// The name of one of these functions and any arguments as JSON.
    fn any_json(&mut self, format: ToolFormat, names: &[&str]) -> String {
        if format == ToolFormat::Llama {
            // Content may begin like a call: as schemas, they are read together.
            let call = json!({
                "type": "object",
                "properties": {"name": {"enum": names}, "parameters": {"type": "object"}},
                "required": ["name", "parameters"],
            });
            self.schemas.push((ARGUMENTS.to_owned(), call.to_string()));
            return format!("@{ARGUMENTS}");
        }
        self.schemas.push((ARGUMENTS.to_owned(), json!({"type": "object"}).to_string()));
        let begins: Vec<_> = names.iter().map(|name| json_begin(format, name)).collect();
        format!("({}) @{ARGUMENTS}{}", begins.join(" | "), json_end(format))
    }
}

/// What comes before arguments that are JSON.
fn json_begin(format: ToolFormat, name: &str) -> String {
    let object = |key: &str| literal(&format!("{{\"name\": {}, \"{key}\": ", Value::from(name)));
    match format {
        ToolFormat::Llama => object("parameters"),
        ToolFormat::Harmony => {
            let to = literal(&format!("{COMMENTARY} to={FUNCTIONS}{name} "));
            format!("{to} constrain \"json\" message")
        }
        ToolFormat::Mistral => format!("{} (id /[a-zA-Z0-9]{{9}}/)? separator", literal(name)),
        ToolFormat::DeepSeek => format!("{} separator", literal(name)),
        ToolFormat::DeepSeekFenced => {
            format!("\"function\" separator {}", literal(&format!("{name}\n```json\n")))
        }
        ToolFormat::Kimi => {
            format!("{} /[0-9]{{1,4}}/ separator", literal(&format!("{FUNCTIONS}{name}:")))
        }
        _ => object("arguments"),
    }
}

/// What comes after arguments that are JSON.
fn json_end(format: ToolFormat) -> &'static str {
    match format {
        ToolFormat::Harmony | ToolFormat::Mistral | ToolFormat::DeepSeek | ToolFormat::Kimi => "",
        ToolFormat::MistralList => r#" (", \"id\": \"" /[a-zA-Z0-9]{9}/ "\"")? "}""#,
        ToolFormat::DeepSeekFenced => r#" "\n```""#,
        _ => r#" "}""#,
    }
}

#[cfg(test)]
mod tests;
