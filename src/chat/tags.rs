//! The tags of reasoning, and where an answer begins by them.

use super::channels::{
    ASSISTANT, CALL, CHANNEL, COMMENTARY, END, FINAL, HEADER, MESSAGE, RETURN, START, headers,
};

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

    /// The channel of reasoning in Harmony, which also has a form of its own for everything else.
    pub const HARMONY: Self = Self { open: "<|channel|>analysis<|message|>", close: END };

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

    /// The control tokens of these tags, and of the form of answers that they belong to.
    pub(super) fn tokens(self) -> Vec<&'static str> {
        if self == Self::HARMONY {
            return HEADER.map(|(_, token)| token).into_iter().chain([END, CALL, RETURN]).collect();
        }
        // A tag may be a token and a word.
        let first = self.open.find('>').map(|end| &self.open[..=end]);
        [self.open, self.close].into_iter().chain(first.filter(|first| *first != self.open)).collect()
    }

    /// The text that follows the closing tag where it is written for the model.
    #[must_use]
    pub fn after(self, next: Next) -> String {
        match next {
            _ if self != Self::HARMONY => "\n\n".to_owned(),
            Next::Content => format!("{START}{ASSISTANT}{CHANNEL}{FINAL}{MESSAGE}"),
            Next::Rules => String::new(),
            // In this channel, the model may call a function or write content, but not reason again.
            Next::Either => format!("{START}{ASSISTANT}{CHANNEL}{COMMENTARY}"),
        }
    }

    /// The texts of which one precedes the content of an answer; none if it begins right after the reasoning.
    #[must_use]
    pub fn headers(self) -> Vec<String> {
        if self == Self::HARMONY { headers() } else { Vec::new() }
    }

    /// Every tag that ends reasoning.
    pub(super) fn closing() -> impl Iterator<Item = &'static str> {
        Self::KNOWN.into_iter().map(|tags| tags.close)
    }

    /// The tags in the source of a template; `None` if it has no reasoning.
    #[must_use]
    pub fn of(source: &str) -> Option<Self> {
        // Other templates end every message with the closing tag.
        let harmony = Some(Self::HARMONY).filter(|tags| source.contains(tags.open));
        harmony.or_else(|| Self::KNOWN.into_iter().find(|tags| source.contains(tags.close)))
    }
}

/// What may follow the reasoning of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Content.
    Content,
    /// Text that rules of calls apply to, its header included.
    Rules,
    /// Content or a call, as the model decides.
    Either,
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
            Some(tags) if !has_switch && tags != Tags::HARMONY => Self::Unopened(tags),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::channels::ANALYSIS;

    #[test]
    fn the_tags_of_harmony_are_those_of_its_reasoning() {
        assert_eq!(Tags::HARMONY.open, format!("{CHANNEL}{ANALYSIS}{MESSAGE}"));
    }
}
