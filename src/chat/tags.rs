//! The tags of reasoning, and where an answer begins by them.

/// The tags around the reasoning of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tags {
    /// Begins the reasoning.
    pub open: &'static str,
    /// Ends the reasoning.
    pub close: &'static str,
}

impl Tags {
    /// The tags of most models.
    pub const THINK: Self = Self { open: "<think>", close: "</think>" };

    /// The tags in use, the most common first.
    pub(super) const KNOWN: [Self; 8] = [
        Self::THINK,
        Self { open: "<seed:think>", close: "</seed:think>" },
        Self { open: "<mm:think>", close: "</mm:think>" },
        Self { open: "[THINK]", close: "[/THINK]" },
        Self { open: "<|START_THINKING|>", close: "<|END_THINKING|>" },
        Self { open: "<|inner_prefix|>", close: "<|inner_suffix|>" },
        Self { open: "<|channel>thought", close: "<channel|>" },
        Self { open: "<thinking>", close: "</thinking>" },
    ];

    /// Every tag in use.
    pub(super) fn all() -> impl Iterator<Item = &'static str> {
        Self::KNOWN.into_iter().flat_map(|Self { open, close }| [open, close])
    }

    /// Every tag that ends reasoning.
    pub(super) fn closing() -> impl Iterator<Item = &'static str> {
        Self::KNOWN.into_iter().map(|tags| tags.close)
    }

    /// The tags in the source of a template; `None` if it has no reasoning.
    #[must_use]
    pub fn of(source: &str) -> Option<Self> {
        Self::KNOWN.into_iter().find(|tags| source.contains(tags.close))
    }
}

/// Where an answer begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// In a block that the prompt opened: only the closing tag is expected.
    Reasoning(Tags),
    /// Where the model may open a block or just answer, as when the prompt closed one itself or the template has a
    /// switch for reasoning.
    Content(Tags),
    /// The same, but the template has no switch: text before a closing tag is reasoning, with or without an opening
    /// tag. Without either tag all of it is content, which is certain only at the end.
    Unopened(Tags),
    /// In the middle of reasoning, the first part of which is in the prompt.
    MidReasoning(Tags),
    /// In the middle of content, the first part of which is in the prompt: no reasoning is expected.
    MidContent(Tags),
}

impl Start {
    /// Where the answer to a prompt begins, for a template with this source that may have a switch for reasoning.
    ///
    /// In the prompt a tag counts only at the very end: messages may mention tags too.
    pub(super) fn of(source: &str, has_switch: bool, prompt: &str) -> Self {
        let end = prompt.trim_end();
        if let Some(tags) = Tags::KNOWN.into_iter().find(|tags| end.ends_with(tags.open)) {
            return Self::Reasoning(tags);
        }
        if let Some(tags) = Tags::KNOWN.into_iter().find(|tags| end.ends_with(tags.close)) {
            return Self::Content(tags);
        }
        match Tags::of(source) {
            Some(tags) if !has_switch => Self::Unopened(tags),
            tags => Self::Content(tags.unwrap_or(Tags::THINK)),
        }
    }

    /// Where an answer begins that a grammar holds for, or that has no reasoning: text without an opening tag is content,
    /// also where the template leaves that tag to the model.
    pub(crate) fn held(self) -> Self {
        match self {
            Self::Unopened(tags) => Self::Content(tags),
            start => start,
        }
    }

    /// The tag at the end of a text.
    pub(super) fn last_tag(text: &str) -> Option<&'static str> {
        Tags::all().filter(|tag| text.ends_with(tag)).max_by_key(|tag| tag.len())
    }

    /// The expected tags.
    #[must_use]
    pub fn tags(self) -> Tags {
        match self {
            Self::Reasoning(tags)
            | Self::Content(tags)
            | Self::Unopened(tags)
            | Self::MidReasoning(tags)
            | Self::MidContent(tags) => tags,
        }
    }
}
