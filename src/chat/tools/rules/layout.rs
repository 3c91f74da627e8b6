//! What is around the calls of an answer.

use super::lark::sequence;
use crate::chat::channels::{HEADER, headers};
use crate::chat::tools::format::{Body, Placement, ToolFormat};
use crate::chat::tools::gemma::QUOTE;

/// The rules around the functions.
pub(super) struct Layout {
    /// Before the first call.
    pub(super) before: &'static str,
    /// One call; `BODY` is one function or another.
    pub(super) call: &'static str,
    /// Between calls; `None`: there is one.
    pub(super) between: Option<&'static str>,
    /// After the last call.
    pub(super) after: &'static str,
}

/// Calls between tags.
const IN_TAGS: Layout = Layout { before: "", call: "open (BODY) close", between: Some(""), after: "" };
/// Calls between tags, within those of a section.
const IN_SECTION: Layout = Layout { before: "begin ", after: " end", ..IN_TAGS };
/// Calls that end with their JSON.
const BARE: Layout = Layout { call: "BODY", between: None, ..IN_TAGS };

impl Layout {
    pub(super) fn of(format: ToolFormat) -> Self {
        match format {
            ToolFormat::Hermes | ToolFormat::Xml => {
                Self { call: r#"open "\n" (BODY) "\n" close"#, between: Some(r#""\n""#), ..IN_TAGS }
            }
            ToolFormat::Glm => Self { between: Some(r#""\n"?"#), ..IN_TAGS },
            // After the reasoning, a message begins; at the beginning of an answer, the prompt began it.
            ToolFormat::Harmony => {
                Self { before: r#"(begin "assistant")? "#, call: "channel (BODY)", ..BARE }
            }
            ToolFormat::Mistral => Self { call: "open (BODY)", ..IN_TAGS },
            ToolFormat::MistralList => {
                let (before, after) = (r#"open " "? "[" "#, r#" "]""#);
                Self { before, between: Some(r#"", ""#), after, ..BARE }
            }
            ToolFormat::Llama => BARE,
            ToolFormat::DeepSeek | ToolFormat::Kimi => IN_SECTION,
            ToolFormat::DeepSeekFenced => Self { between: Some(r#""\n"?"#), ..IN_SECTION },
            ToolFormat::MiniMax => {
                let (before, after) = (r#"begin "\n" "#, r#" "\n" end"#);
                Self { before, between: Some(r#""\n""#), after, ..IN_SECTION }
            }
            ToolFormat::Gemma => IN_TAGS,
        }
    }
}

/// The names of tags in the rules, and their texts.
pub(super) fn tags(format: ToolFormat) -> Vec<(&'static str, &'static str)> {
    let Some(syntax) = format.syntax() else { return HEADER.to_vec() };
    let section = syntax.section.into_iter().flat_map(|(begin, end)| [("begin", begin), ("end", end)]);
    let body = match syntax.body {
        // The tag is optional.
        Body::Object if syntax.placement == Placement::Bare => return Vec::new(),
        Body::Named(named) => {
            named.skip.map(|id| ("id", id)).into_iter().chain([("separator", named.tag)]).collect()
        }
        Body::Gemma => vec![("quote", QUOTE)],
        Body::Object | Body::List | Body::Elements(_) => Vec::new(),
    };
    let close = syntax.close.map(|close| ("close", close));
    [("open", syntax.open)].into_iter().chain(close).chain(section).chain(body).collect()
}

/// What comes before content that may be there instead of calls.
pub(super) fn header(format: ToolFormat) -> String {
    if format.syntax().is_some() {
        return String::new();
    }
    let headers: Vec<_> = headers().iter().map(|header| sequence(header, &HEADER)).collect();
    format!("({}) ", headers.join(" | "))
}
