//! Asks a session and waits for the whole answer.

use std::io;

use anyhow::bail;
use ggrun::chat::ToolCall;
use ggrun::engine::{FinishReason, Timings};
use ggrun::session::{Chat, ChatEvent, ChatRequest, ChatUsage, Session};

use crate::cli::interrupt::Interrupt;

/// A piece of an answer, as it comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// More of what the model thinks.
    Reasoning(&'a str),
    /// More of what it says.
    Content(&'a str),
    /// A function it calls.
    ToolCall(&'a ToolCall),
}

/// A whole answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    /// What the model thought.
    pub(crate) reasoning: String,
    /// What it says.
    pub(crate) content: String,
    /// The functions it calls.
    pub(crate) tool_calls: Vec<ToolCall>,
    /// Why it ended.
    pub(crate) reason: FinishReason,
    /// What it took.
    pub(crate) usage: ChatUsage,
    /// How long it took.
    pub(crate) timings: Timings,
}

/// Asks a session and waits for the answer; `on` gets every piece as it comes and ends the answer by failing.
///
/// # Errors
///
/// When the question cannot be asked, the engine fails, or `on` does. An answer that was interrupted is no
/// error: its reason is [`FinishReason::Cancelled`].
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
    bail!("the answer has no end")
}
