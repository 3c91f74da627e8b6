//! One answer, gathered from the events of a session.

use std::cell::Cell;
use std::rc::Rc;

use crate::engine;
use crate::openai::{Asked, Choice, Kind};
use crate::session::{self, Chat, ChatEvent, Session};

/// Hands one copy of a request to the engine.
///
/// # Errors
///
/// When there is no prompt, or the engine takes no request.
pub(super) fn submit(session: &Session, asked: &Asked, seed: u32) -> Result<Chat, session::Error> {
    match &asked.kind {
        Kind::Chat(request) => {
            let mut request = request.clone();
            request.sampling.seed = seed;
            session.chat(request)
        }
        Kind::Text(request) => {
            let mut request = request.clone();
            request.sampling.seed = seed;
            session.complete(request)
        }
    }
}

/// Waits for an answer. `written` counts its tokens while they come, about one a piece, and in the end exactly.
pub(super) async fn gather(
    mut chat: Chat,
    seed: u32,
    written: Rc<Cell<u64>>,
) -> Result<Choice, engine::Error> {
    let (mut reasoning, mut content, mut tool_calls) = (String::new(), String::new(), Vec::new());
    let mut pieces = 0;
    while let Some(event) = chat.recv().await {
        pieces += 1;
        written.set(written.get() + 1);
        match event {
            ChatEvent::Reasoning(text) => reasoning += &text,
            ChatEvent::Content(text) => content += &text,
            ChatEvent::ToolCall(call) => tool_calls.push(call),
            ChatEvent::Finished { reason, usage, timings } => {
                let exactly = u64::from(usage.total.completion_tokens);
                written.set(written.get().saturating_sub(pieces) + exactly);
                let logprobs = None;
                return Ok(Choice { reasoning, content, tool_calls, reason, usage, timings, seed, logprobs });
            }
            ChatEvent::Failed(error) => {
                written.set(written.get().saturating_sub(pieces));
                return Err(error);
            }
        }
    }
    Err(engine::Error::Gone)
}
