//! What is around the calls of an answer.

use crate::chat::tools::format::ToolFormat;

/// The rules around the functions.
pub(super) struct Layout {
    /// The names and the texts of tags.
    pub(super) tags: &'static [(&'static str, &'static str)],
    /// Before the first call.
    pub(super) before: &'static str,
    /// One call; `BODY` is one function or another.
    pub(super) call: &'static str,
    /// Between calls; `None`: there is one.
    pub(super) between: Option<&'static str>,
    /// After the last call.
    pub(super) after: &'static str,
}

const IN_TAGS: Layout = Layout {
    tags: &[("open", "<tool_call>"), ("close", "</tool_call>")],
    before: "",
    call: r#"open "\n" (BODY) "\n" close"#,
    between: Some(r#""\n""#),
    after: "",
};

const IN_SECTION: Layout = Layout {
    tags: &[
        ("begin", "<｜tool▁calls▁begin｜>"),
        ("open", "<｜tool▁call▁begin｜>"),
        ("separator", "<｜tool▁sep｜>"),
        ("close", "<｜tool▁call▁end｜>"),
        ("end", "<｜tool▁calls▁end｜>"),
    ],
    before: "begin ",
    call: "open (BODY) close",
    between: Some(""),
    after: " end",
};

impl Layout {
    pub(super) fn of(format: ToolFormat) -> Self {
        match format {
            ToolFormat::Hermes | ToolFormat::Xml => IN_TAGS,
            ToolFormat::Glm => Self { call: "open (BODY) close", between: Some(r#""\n"?"#), ..IN_TAGS },
            ToolFormat::Harmony => Self {
                tags: &[
                    ("begin", "<|start|>"),
                    ("channel", "<|channel|>"),
                    ("constrain", "<|constrain|>"),
                    ("message", "<|message|>"),
                ],
                // After the reasoning, a message begins; at the beginning of an answer, the prompt began it.
                before: r#"(begin "assistant")? "#,
                call: "channel (BODY)",
                between: None,
                after: "",
            },
            ToolFormat::Mistral => Self {
                tags: &[("open", "[TOOL_CALLS]"), ("id", "[CALL_ID]"), ("separator", "[ARGS]")],
                before: "",
                call: "open (BODY)",
                between: Some(""),
                after: "",
            },
            ToolFormat::MistralList => Self {
                tags: &[("open", "[TOOL_CALLS]")],
                before: r#"open " "? "[" "#,
                call: "BODY",
                between: Some(r#"", ""#),
                after: r#" "]""#,
            },
            ToolFormat::Llama => Self { tags: &[], before: "", call: "BODY", between: None, after: "" },
            ToolFormat::DeepSeek => IN_SECTION,
            ToolFormat::DeepSeekFenced => Self { between: Some(r#""\n"?"#), ..IN_SECTION },
            ToolFormat::MiniMax => Self {
                tags: &[
                    ("begin", "<minimax:tool_call>"),
                    ("open", "<invoke name=\""),
                    ("close", "</invoke>"),
                    ("end", "</minimax:tool_call>"),
                ],
                before: r#"begin "\n" "#,
                between: Some(r#""\n""#),
                after: r#" "\n" end"#,
                ..IN_SECTION
            },
            ToolFormat::Gemma => Self {
                tags: &[("open", "<|tool_call>"), ("close", "<tool_call|>"), ("quote", "<|\"|>")],
                before: "",
                after: "",
                ..IN_SECTION
            },
            ToolFormat::Kimi => Self {
                tags: &[
                    ("begin", "<|tool_calls_section_begin|>"),
                    ("open", "<|tool_call_begin|>"),
                    ("separator", "<|tool_call_argument_begin|>"),
                    ("close", "<|tool_call_end|>"),
                    ("end", "<|tool_calls_section_end|>"),
                ],
                ..IN_SECTION
            },
        }
    }
}
