//! Submits a conversation and waits for the whole answer.

use ggrun::session::{Answer, ChatEvent, ChatRequest, Session};

use crate::cli::interrupt::Interrupt;

/// Submits a conversation and waits for the answer. `on` gets every event first, and cancels the answer by failing.
///
/// # Errors
///
/// When the request is refused, or the engine or `on` fails. An interrupted answer is not an error: its reason is
/// [`Cancelled`](ggrun::engine::FinishReason::Cancelled).
pub(crate) fn answer(
    session: &Session,
    request: ChatRequest,
    interrupt: &Interrupt,
    on: impl FnMut(&ChatEvent) -> anyhow::Result<()>,
) -> anyhow::Result<Answer> {
    let chat = session.chat(request)?;
    interrupt.aim(chat.canceller());
    chat.collect(on)
}
