//! The formats of tool calls, one row each.

use super::elements::Elements;
use super::named::{Name, Named};
use crate::chat::channels::{CALL, CONSTRAIN};

/// The format of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToolFormat {
    /// `<tool_call>{"name": NAME, "arguments": OBJECT}</tool_call>`, as Hermes and most of Qwen do.
    Hermes,
    /// `<tool_call><function=NAME><parameter=KEY>TEXT</parameter></function></tool_call>`, as Qwen3-Coder and Qwen3.5 do.
    Xml,
    /// `<tool_call>NAME<arg_key>KEY</arg_key><arg_value>TEXT</arg_value></tool_call>`, as GLM does.
    Glm,
    /// A message to `functions.NAME`, as gpt-oss does in its channels.
    Harmony,
    /// `[TOOL_CALLS]NAME[ARGS]OBJECT`, as Mistral does since 2025.
    Mistral,
    /// `[TOOL_CALLS][{"name": NAME, "arguments": OBJECT, "id": ID}]`, as Mistral did before.
    MistralList,
    /// `{"name": NAME, "parameters": OBJECT}` as the whole answer, as Llama 3 does.
    Llama,
    /// `<｜tool▁call▁begin｜>NAME<｜tool▁sep｜>OBJECT<｜tool▁call▁end｜>`, as `DeepSeek` does since V3.1.
    DeepSeek,
    /// `<｜tool▁call▁begin｜>function<｜tool▁sep｜>NAME`, then the object as a block of code, as `DeepSeek` V3 and R1 do.
    DeepSeekFenced,
    /// `<invoke name="NAME"><parameter name="KEY">TEXT</parameter></invoke>`, as `MiniMax` does.
    MiniMax,
    /// `<|tool_call>call:NAME{KEY:VALUE}<tool_call|>`, as Gemma 4 does.
    Gemma,
    /// `<|tool_call_begin|>functions.NAME:NUMBER<|tool_call_argument_begin|>OBJECT<|tool_call_end|>`, as Kimi does.
    Kimi,
}

/// What is between the tags of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    /// An object of JSON with the name and the arguments.
    Object,
    /// A list of such objects.
    List,
    /// The name, then an object of JSON with the arguments.
    Named(Named),
    /// Tags around the name, the keys and the values.
    Elements(Elements),
    /// Gemma's own notation of values.
    Gemma,
}

/// The syntax of calls in content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::chat) struct Syntax {
    /// The tags around all calls.
    pub(super) section: Option<(&'static str, &'static str)>,
    /// Begins a call.
    pub(super) open: &'static str,
    /// Ends a call; `None`: the end of its JSON does.
    pub(super) close: Option<&'static str>,
    pub(super) placement: Placement,
    pub(super) body: Body,
}

/// The places of calls in content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Placement {
    Anywhere,
    InSection,
    /// Anywhere, and without a tag at the beginning of the content if the function is known.
    Bare,
    /// Anywhere, and without the tags around it if the function is known.
    Untagged,
}

/// A format and its signs in templates.
struct Row {
    format: ToolFormat,
    /// `None`: a call is a message of Harmony, which [`super::super::harmony`] reads.
    syntax: Option<Syntax>,
    /// The texts that a template of this format has.
    marks: &'static [&'static str],
    /// Further tags, also those around results.
    tags: &'static [&'static str],
}

const TOOL_CALL: (&str, &str) = ("<tool_call>", "</tool_call>");
const TOOL_RESPONSE: &[&str] = &["<tool_response>", "</tool_response>"];
const TAGS: Syntax = Syntax {
    section: None,
    open: TOOL_CALL.0,
    close: Some(TOOL_CALL.1),
    placement: Placement::Anywhere,
    body: Body::Object,
};
const MISTRAL: Syntax = Syntax { open: "[TOOL_CALLS]", close: None, ..TAGS };
/// Between the type or the name of a function and what follows, as `DeepSeek` does.
const DEEPSEEK_SEPARATOR: &str = "<｜tool▁sep｜>";
const DEEPSEEK: Syntax = Syntax {
    section: Some(("<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>")),
    open: "<｜tool▁call▁begin｜>",
    close: Some("<｜tool▁call▁end｜>"),
    body: Body::Named(Named { separator: DEEPSEEK_SEPARATOR, tag: DEEPSEEK_SEPARATOR, ..NAMED }),
    ..TAGS
};
const DEEPSEEK_TAGS: &[&str] = &[
    DEEPSEEK_SEPARATOR,
    "<｜tool▁outputs▁begin｜>",
    "<｜tool▁output▁begin｜>",
    "<｜tool▁output▁end｜>",
    "<｜tool▁outputs▁end｜>",
];
const NAMED: Named = Named { before: "", name: Name::Plain, skip: None, separator: "", tag: "", fence: "" };

/// Every format. Where the texts of a template fit several, the first is meant.
const ROWS: [Row; 12] = [
    Row {
        format: ToolFormat::Xml,
        syntax: Some(Syntax {
            placement: Placement::Untagged,
            body: Body::Elements(Elements {
                name: ("<function=", ">"),
                end: "</function>",
                key: ("<parameter=", ">"),
                value: "",
                value_end: "</parameter>",
                has_lines: true,
            }),
            ..TAGS
        }),
        marks: &[TOOL_CALL.0, "<function=", "<parameter="],
        tags: TOOL_RESPONSE,
    },
    Row {
        format: ToolFormat::Glm,
        syntax: Some(Syntax {
            body: Body::Elements(Elements {
                name: ("", ""),
                end: "",
                key: ("<arg_key>", "</arg_key>"),
                value: "<arg_value>",
                value_end: "</arg_value>",
                has_lines: false,
            }),
            ..TAGS
        }),
        marks: &[TOOL_CALL.0, "<arg_key>", "<arg_value>"],
        tags: &["<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>"],
    },
    Row {
        format: ToolFormat::Hermes,
        syntax: Some(TAGS),
        marks: &[TOOL_CALL.0, "arguments"],
        tags: TOOL_RESPONSE,
    },
    Row {
        format: ToolFormat::Harmony,
        syntax: None,
        marks: &["<|channel|>commentary", "to="],
        tags: &[CONSTRAIN, CALL],
    },
    Row {
        format: ToolFormat::Mistral,
        syntax: Some(Syntax {
            body: Body::Named(Named { skip: Some("[CALL_ID]"), separator: "[ARGS]", tag: "[ARGS]", ..NAMED }),
            ..MISTRAL
        }),
        marks: &["[TOOL_CALLS]", "[ARGS]"],
        tags: &["[ARGS]", "[CALL_ID]", "[TOOL_CONTENT]"],
    },
    Row {
        format: ToolFormat::MistralList,
        syntax: Some(Syntax { body: Body::List, ..MISTRAL }),
        marks: &["[TOOL_CALLS]", "arguments"],
        tags: &["[TOOL_RESULTS]", "[/TOOL_RESULTS]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]"],
    },
    Row {
        format: ToolFormat::Llama,
        syntax: Some(Syntax { open: "<|python_tag|>", close: None, placement: Placement::Bare, ..TAGS }),
        marks: &["<|python_tag|>", "\"parameters\": "],
        tags: &[],
    },
    Row {
        format: ToolFormat::DeepSeekFenced,
        syntax: Some(Syntax {
            body: Body::Named(Named {
                before: "function<｜tool▁sep｜>",
                separator: "\n```json\n",
                tag: DEEPSEEK_SEPARATOR,
                fence: "\n```",
                ..NAMED
            }),
            ..DEEPSEEK
        }),
        marks: &["<｜tool▁call▁begin｜>", DEEPSEEK_SEPARATOR, "```json"],
        tags: DEEPSEEK_TAGS,
    },
    Row {
        format: ToolFormat::DeepSeek,
        syntax: Some(DEEPSEEK),
        marks: &["<｜tool▁call▁begin｜>", DEEPSEEK_SEPARATOR],
        tags: DEEPSEEK_TAGS,
    },
    Row {
        format: ToolFormat::MiniMax,
        syntax: Some(Syntax {
            section: Some(("<minimax:tool_call>", "</minimax:tool_call>")),
            open: "<invoke name=\"",
            close: Some("</invoke>"),
            placement: Placement::InSection,
            body: Body::Elements(Elements {
                name: ("", "\">"),
                end: "",
                key: ("<parameter name=\"", "\">"),
                value: "",
                value_end: "</parameter>",
                has_lines: false,
            }),
        }),
        marks: &["<minimax:tool_call>", "<invoke name=", "<parameter name="],
        tags: &[],
    },
    Row {
        format: ToolFormat::Gemma,
        syntax: Some(Syntax { open: "<|tool_call>", close: Some("<tool_call|>"), body: Body::Gemma, ..TAGS }),
        marks: &["<|tool_call>call:", "<tool_call|>"],
        tags: &["<|\"|>", "<|tool_response>", "<tool_response|>"],
    },
    Row {
        format: ToolFormat::Kimi,
        syntax: Some(Syntax {
            section: Some(("<|tool_calls_section_begin|>", "<|tool_calls_section_end|>")),
            open: "<|tool_call_begin|>",
            close: Some("<|tool_call_end|>"),
            body: Body::Named(Named {
                name: Name::Numbered,
                separator: "<|tool_call_argument_begin|>",
                tag: "<|tool_call_argument_begin|>",
                ..NAMED
            }),
            ..TAGS
        }),
        marks: &["<|tool_call_begin|>", "<|tool_call_argument_begin|>"],
        tags: &["<|tool_call_argument_begin|>"],
    },
];

impl ToolFormat {
    /// Every format.
    pub const ALL: [Self; 12] = [
        Self::Hermes,
        Self::Xml,
        Self::Glm,
        Self::Harmony,
        Self::Mistral,
        Self::MistralList,
        Self::Llama,
        Self::DeepSeek,
        Self::DeepSeekFenced,
        Self::MiniMax,
        Self::Gemma,
        Self::Kimi,
    ];

    /// The format that the texts of a template fit; `None` if it has none of these.
    pub(in crate::chat) fn of(source: &str) -> Option<Self> {
        let fits = |row: &&Row| row.marks.iter().all(|mark| source.contains(mark));
        ROWS.iter().find(fits).map(|row| row.format)
    }

    /// Whether a text has the tag that begins a call, which only models leave out.
    pub(in crate::chat) fn is_tagged(self, text: &str) -> bool {
        let is_untagged =
            |syntax: Syntax| syntax.placement == Placement::Untagged && !text.contains(syntax.open);
        !self.syntax().is_some_and(is_untagged)
    }

    /// Its syntax; `None` if calls are not in content.
    pub(in crate::chat) fn syntax(self) -> Option<Syntax> {
        ROWS.iter().find(|row| row.format == self)?.syntax
    }
}

/// The tags of calls and of their results in all formats.
pub(in crate::chat) fn tags() -> impl Iterator<Item = &'static str> {
    ROWS.iter().flat_map(|row| {
        let own = row.syntax.into_iter().flat_map(|Syntax { section, open, close, .. }| {
            let section = section.into_iter().flat_map(|(open, close)| [open, close]);
            [open].into_iter().chain(close).chain(section)
        });
        own.chain(row.tags.iter().copied())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_has_one_row() {
        let rows = |format| ROWS.iter().filter(|row| row.format == format).count();
        assert!(ToolFormat::ALL.into_iter().all(|format| rows(format) == 1));
    }
}
