//! One answer: asked for, and gathered from the events of a session.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;

use crate::engine::{self, TokenLogprob};
use crate::openai::{Asked, Choice, Endpoint, Kind, logprobs};
use crate::session::{self, Chat, ChatEvent, Session};

/// An answer on its way.
pub(super) type Answer = Pin<Box<dyn Future<Output = Result<Choice, engine::Error>>>>;

/// Hands one copy of a request to the engine. `written` counts its tokens while they come, about one a piece, and in the
/// end exactly.
///
/// # Errors
///
/// When there is no prompt, or the engine takes no request.
pub(super) fn ask(
    session: &Session,
    asked: &Asked,
    seed: u32,
    written: &Rc<Cell<u64>>,
) -> Result<Answer, session::Error> {
    let (endpoint, chat) = match &asked.kind {
        Kind::Chat(request) => {
            let mut request = request.clone();
            request.sampling.seed = seed;
            (Endpoint::Chat, session.chat(request)?)
        }
        Kind::Text(request) => {
            let mut request = request.clone();
            request.sampling.seed = seed;
            (Endpoint::Text, session.complete(request)?)
        }
    };
    let wanted = asked.sampling().logprobs.is_some();
    let (session, written) = (session.clone(), Rc::clone(written));
    Ok(Box::pin(async move {
        let (mut choice, tokens) = gather(chat, seed, written).await?;
        if wanted {
            choice.logprobs = logprobs(endpoint, &tokens, &|token| session.piece(token));
        }
        Ok(choice)
    }))
}

async fn gather(
    mut chat: Chat,
    seed: u32,
    written: Rc<Cell<u64>>,
) -> Result<(Choice, Vec<TokenLogprob>), engine::Error> {
    let (mut reasoning, mut content, mut tool_calls) = (String::new(), String::new(), Vec::new());
    let mut pieces = 0;
    while let Some(event) = chat.recv().await {
        let piece = u64::from(!matches!(event, ChatEvent::Progress { .. }));
        pieces += piece;
        written.set(written.get() + piece);
        match event {
            ChatEvent::Progress { .. } => {}
            ChatEvent::Reasoning(text) => reasoning += &text,
            ChatEvent::Content(text) => content += &text,
            ChatEvent::ToolCall(call) => tool_calls.push(call),
            ChatEvent::Finished { reason, usage, timings } => {
                let exactly = u64::from(usage.total.completion_tokens);
                written.set(written.get().saturating_sub(pieces) + exactly);
                let logprobs = serde_json::Value::Null;
                let choice =
                    Choice { reasoning, content, tool_calls, reason, usage, timings, seed, logprobs };
                return Ok((choice, chat.take_logprobs()));
            }
            ChatEvent::Failed(error) => {
                written.set(written.get().saturating_sub(pieces));
                return Err(error);
            }
        }
    }
    Err(engine::Error::Gone)
}
