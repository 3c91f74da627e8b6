//! Waits for a whole answer.

use ggrun::session::{Answer, Chat, ChatEvent};

use crate::cli::interrupt::Interrupt;

/// Waits for an answer. `on` gets every event first, and cancels the answer by failing.
///
/// # Errors
///
/// When the engine or `on` fails. An interrupted answer is not an error: its reason is
/// [`Cancelled`](ggrun::engine::FinishReason::Cancelled).
pub(crate) fn answer(
    chat: Chat,
    interrupt: &Interrupt,
    on: impl FnMut(&ChatEvent) -> anyhow::Result<()>,
) -> anyhow::Result<Answer> {
    interrupt.aim(chat.canceller());
    chat.collect(on)
}
