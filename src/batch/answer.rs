//! One answer of a row: submitted, and collected from the events of a session.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;

use serde_json::Value;

use crate::engine;
use crate::openai::{Asked, Choice, Endpoint, Prompt, logprobs};
use crate::session::{self, ChatEvent, Logprobs, Session};

/// An answer on its way.
pub(super) type Pending = Pin<Box<dyn Future<Output = Result<Choice, engine::Error>>>>;

/// Submits one answer of a request. `written` counts its tokens: about one per event while they arrive, the exact
/// number at the end.
///
/// # Errors
///
/// When the conversation cannot be rendered, or the engine accepts no requests.
pub(super) fn submit(
    session: &Session,
    asked: &Asked,
    seed: u32,
    written: &Rc<Cell<u64>>,
) -> Result<Pending, session::Error> {
    let (endpoint, chat) = match &asked.prompt {
        Prompt::Chat(_) => {
            let mut request = asked.chat_request(seed);
            request.sampling.seed = seed;
            (Endpoint::Chat, session.chat(request)?)
        }
        Prompt::Text(_) => {
            // A row has one text.
            let mut request = asked.text_request(seed);
            request.sampling.seed = seed;
            (Endpoint::Text, session.complete(request)?)
        }
    };
    let with_logprobs = matches!(asked.options.logprobs, Some(Logprobs::Top(_)));
    let (session, written) = (session.clone(), Rc::clone(written));
    Ok(Box::pin(async move {
        let mut events = 0;
        let count = |event: &ChatEvent| {
            let known = match event {
                ChatEvent::Finished { usage, .. } => u64::from(usage.total.completion_tokens),
                ChatEvent::Failed(_) => 0,
                ChatEvent::Progress { .. } => events,
                _ => events + 1,
            };
            written.set(written.get().saturating_sub(events) + known);
            events = known;
            Ok::<(), engine::Error>(())
        };
        let answer = chat.collect_async(count).await?;
        let logprobs = if with_logprobs {
            logprobs(endpoint, &answer.logprobs, 0, &|token| session.piece(token))
        } else {
            Value::Null
        };
        Ok(Choice { answer, seed, logprobs })
    }))
}
