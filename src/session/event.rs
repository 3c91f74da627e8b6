//! The events of an answer.

use crate::chat::ToolCall;
use crate::engine::{self, FinishReason, Timings};

/// Any number of progress, text and call events, then exactly one of the last two.
#[derive(Debug, Clone, PartialEq)]
pub enum ChatEvent {
    /// More of the prompt was read; see [`engine::Event::Progress`].
    Progress {
        /// Tokens of the prompt.
        total: u32,
        /// Of these, the ones that were already in the cache.
        reused: u32,
        /// Of the others, the ones read so far.
        read: u32,
    },
    /// More of the reasoning.
    Reasoning(String),
    /// More of the content.
    Content(String),
    /// A function call, whole. Its id is unique in the conversation. An answer with calls that ended with
    /// [`FinishReason::Stop`] waits for their results.
    ToolCall(ToolCall),
    /// The answer ended.
    Finished {
        /// Why it ended.
        reason: FinishReason,
        /// The tokens it took.
        usage: ChatUsage,
        /// The time it took.
        timings: Timings,
    },
    /// The answer ended because of an error.
    Failed(engine::Error),
}

/// Tokens of an answer, with those of the reasoning counted separately.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ChatUsage {
    /// All tokens read and written.
    pub total: engine::Usage,
    /// Of those written, the tokens of the reasoning, the closing tag included.
    pub reasoning_tokens: u32,
}

impl ChatUsage {
    /// Of the tokens written, those after the reasoning, the end included.
    #[must_use]
    pub fn answer_tokens(&self) -> u32 {
        self.total.completion_tokens.saturating_sub(self.reasoning_tokens)
    }
}
