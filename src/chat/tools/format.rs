//! The syntaxes of tool calls, one row each.

use super::elements::Elements;
use super::named::{Name, Named};

/// The syntax of calls.
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
    /// Messages of Harmony, which [`super::super::harmony`] reads.
    Messages,
}

/// The syntax of calls in content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Syntax {
    pub(super) format: ToolFormat,
    /// The tags around all calls.
    pub(super) section: Option<(&'static str, &'static str)>,
    /// Begins a call.
    pub(super) open: &'static str,
    /// Ends a call; `None`: the end of its JSON does.
    pub(super) close: Option<&'static str>,
    pub(super) first: First,
    pub(super) body: Body,
    /// The texts of a template with this syntax.
    marks: &'static [&'static str],
    /// Further tags, also those around results.
    tags: &'static [&'static str],
}

/// Where the first call may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum First {
    /// Anywhere.
    Open,
    /// After the tag that begins a section.
    Section,
    /// Anywhere, and as JSON of a known function at the beginning of the content.
    Object,
}

const TOOL_CALL: (&str, &str) = ("<tool_call>", "</tool_call>");
const TOOL_RESPONSE: &[&str] = &["<tool_response>", "</tool_response>"];
const DEEPSEEK: Syntax = Syntax {
    format: ToolFormat::DeepSeek,
    section: Some(("<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>")),
    open: "<｜tool▁call▁begin｜>",
    close: Some("<｜tool▁call▁end｜>"),
    first: First::Open,
    body: Body::Named(Named {
        before: "",
        name: Name::Plain,
        skip: None,
        separator: "<｜tool▁sep｜>",
        fence: "",
    }),
    marks: &["<｜tool▁call▁begin｜>", "<｜tool▁sep｜>"],
    tags: &[
        "<｜tool▁sep｜>",
        "<｜tool▁outputs▁begin｜>",
        "<｜tool▁output▁begin｜>",
        "<｜tool▁output▁end｜>",
        "<｜tool▁outputs▁end｜>",
    ],
};

/// Every syntax. Where the texts of a template fit several, the first is meant.
pub(super) const SYNTAXES: [Syntax; 12] = [
    Syntax {
        format: ToolFormat::Xml,
        section: None,
        open: TOOL_CALL.0,
        close: Some(TOOL_CALL.1),
        first: First::Open,
        body: Body::Elements(Elements {
            name: ("<function=", ">"),
            end: "</function>",
            key: ("<parameter=", ">"),
            value: "",
            value_end: "</parameter>",
            has_lines: true,
        }),
        marks: &[TOOL_CALL.0, "<function=", "<parameter="],
        tags: TOOL_RESPONSE,
    },
    Syntax {
        format: ToolFormat::Glm,
        section: None,
        open: TOOL_CALL.0,
        close: Some(TOOL_CALL.1),
        first: First::Open,
        body: Body::Elements(Elements {
            name: ("", ""),
            end: "",
            key: ("<arg_key>", "</arg_key>"),
            value: "<arg_value>",
            value_end: "</arg_value>",
            has_lines: false,
        }),
        marks: &[TOOL_CALL.0, "<arg_key>", "<arg_value>"],
        tags: &["<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>"],
    },
    Syntax {
        format: ToolFormat::Hermes,
        section: None,
        open: TOOL_CALL.0,
        close: Some(TOOL_CALL.1),
        first: First::Open,
        body: Body::Object,
        marks: &[TOOL_CALL.0, "arguments"],
        tags: TOOL_RESPONSE,
    },
    Syntax {
        format: ToolFormat::Harmony,
        section: None,
        open: "to=functions.",
        close: None,
        first: First::Open,
        body: Body::Messages,
        marks: &["<|channel|>commentary", "to="],
        tags: &["<|constrain|>", "<|call|>"],
    },
    Syntax {
        format: ToolFormat::Mistral,
        section: None,
        open: "[TOOL_CALLS]",
        close: None,
        first: First::Open,
        body: Body::Named(Named {
            before: "",
            name: Name::Plain,
            skip: Some("[CALL_ID]"),
            separator: "[ARGS]",
            fence: "",
        }),
        marks: &["[TOOL_CALLS]", "[ARGS]"],
        tags: &["[ARGS]", "[CALL_ID]", "[TOOL_CONTENT]"],
    },
    Syntax {
        format: ToolFormat::MistralList,
        section: None,
        open: "[TOOL_CALLS]",
        close: None,
        first: First::Open,
        body: Body::List,
        marks: &["[TOOL_CALLS]", "arguments"],
        tags: &["[TOOL_RESULTS]", "[/TOOL_RESULTS]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]"],
    },
    Syntax {
        format: ToolFormat::Llama,
        section: None,
        open: "<|python_tag|>",
        close: None,
        first: First::Object,
        body: Body::Object,
        marks: &["<|python_tag|>", "\"parameters\": "],
        tags: &[],
    },
    Syntax {
        format: ToolFormat::DeepSeekFenced,
        body: Body::Named(Named {
            before: "function<｜tool▁sep｜>",
            name: Name::Plain,
            skip: None,
            separator: "\n```json\n",
            fence: "\n```",
        }),
        marks: &["<｜tool▁call▁begin｜>", "<｜tool▁sep｜>", "```json"],
        ..DEEPSEEK
    },
    DEEPSEEK,
    Syntax {
        format: ToolFormat::MiniMax,
        section: Some(("<minimax:tool_call>", "</minimax:tool_call>")),
        open: "<invoke name=\"",
        close: Some("</invoke>"),
        first: First::Section,
        body: Body::Elements(Elements {
            name: ("", "\">"),
            end: "",
            key: ("<parameter name=\"", "\">"),
            value: "",
            value_end: "</parameter>",
            has_lines: false,
        }),
        marks: &["<minimax:tool_call>", "<invoke name=", "<parameter name="],
        tags: &[],
    },
    Syntax {
        format: ToolFormat::Gemma,
        section: None,
        open: "<|tool_call>",
        close: Some("<tool_call|>"),
        first: First::Open,
        body: Body::Gemma,
        marks: &["<|tool_call>call:", "<tool_call|>"],
        tags: &["<|\"|>", "<|tool_response>", "<tool_response|>"],
    },
    Syntax {
        format: ToolFormat::Kimi,
        section: Some(("<|tool_calls_section_begin|>", "<|tool_calls_section_end|>")),
        open: "<|tool_call_begin|>",
        close: Some("<|tool_call_end|>"),
        first: First::Open,
        body: Body::Named(Named {
            before: "",
            name: Name::Numbered,
            skip: None,
            separator: "<|tool_call_argument_begin|>",
            fence: "",
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
        let fits = |syntax: &&Syntax| syntax.marks.iter().all(|mark| source.contains(mark));
        SYNTAXES.iter().find(fits).map(|syntax| syntax.format)
    }

    pub(super) fn syntax(self) -> &'static Syntax {
        SYNTAXES.iter().find(|syntax| syntax.format == self).expect("every format has a row")
    }
}

/// The tags of calls and of their results in all syntaxes.
pub(in crate::chat) fn tags() -> impl Iterator<Item = &'static str> {
    SYNTAXES.iter().flat_map(|syntax| {
        let section = syntax.section.into_iter().flat_map(|(open, close)| [open, close]);
        [syntax.open].into_iter().chain(syntax.close).chain(section).chain(syntax.tags.iter().copied())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_has_one_row() {
        assert_eq!(SYNTAXES.len(), ToolFormat::ALL.len());
        assert!(ToolFormat::ALL.into_iter().all(|format| format.syntax().format == format));
    }
}
