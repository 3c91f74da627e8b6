//! Submits a request to a session and collects the answer.

use std::io;

use anyhow::bail;
use ggrun::chat::ToolCall;
use ggrun::engine::{FinishReason, Timings};
use ggrun::session::{Chat, ChatEvent, ChatRequest, ChatUsage, Session};

use crate::cli::interrupt::Interrupt;

/// A piece of an answer, as it is generated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// Reasoning.
    Reasoning(&'a str),
    /// Text of the answer.
    Content(&'a str),
    /// A tool call.
    ToolCall(&'a ToolCall),
}

/// A whole answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    /// The reasoning before the answer.
    pub(crate) reasoning: String,
    /// The text.
    pub(crate) content: String,
    /// The tool calls.
    pub(crate) tool_calls: Vec<ToolCall>,
    /// The finish reason.
    pub(crate) reason: FinishReason,
    /// Tokens.
    pub(crate) usage: ChatUsage,
    /// Times.
    pub(crate) timings: Timings,
}

/// Submits a request and waits for the answer. `on` receives every piece and ends the answer when it fails.
///
/// # Errors
///
/// When the request is refused, the engine fails, or `on` does. An interrupted answer is not an error: its reason is
/// [`FinishReason::Cancelled`].
pub(crate) fn answer(
    session: &Session,
    request: ChatRequest,
    interrupt: &Interrupt,
    on: &mut dyn FnMut(Piece<'_>) -> io::Result<()>,
) -> anyhow::Result<Answer> {
    let chat: Chat = session.chat(request)?;
    interrupt.aim(chat.canceller());
    let (mut reasoning, mut content, mut tool_calls) = (String::new(), String::new(), Vec::new());
    for event in chat {
        match event {
            ChatEvent::Progress { .. } => {}
            ChatEvent::Reasoning(text) => {
                on(Piece::Reasoning(&text))?;
                reasoning += &text;
            }
            ChatEvent::Content(text) => {
                on(Piece::Content(&text))?;
                content += &text;
            }
            ChatEvent::ToolCall(call) => {
                on(Piece::ToolCall(&call))?;
                tool_calls.push(call);
            }
            ChatEvent::Finished { reason, usage, timings } => {
                return Ok(Answer { reasoning, content, tool_calls, reason, usage, timings });
            }
            ChatEvent::Failed(error) => return Err(error.into()),
        }
    }
    bail!("the engine ended in the middle of the answer")
}
