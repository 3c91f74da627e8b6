//! What a front end does around each answer, such as restoring a saved state before and saving one later.

use std::fmt;
use std::sync::Arc;

use super::request::ChatRequest;
use crate::chat::{Message, Role, ToolCall};
use crate::engine::{Namespace, Prompt, Timings, Token, Usage};

/// Called around each answer of a session.
#[derive(Clone)]
pub struct Hooks {
    /// Called with the prompt of a request before it is submitted, on the thread that submits it. May block.
    pub before: Arc<dyn Fn(Prompt<'_>) + Send + Sync>,
    /// Called when an answer has ended, on the thread that receives its events. Must not block.
    pub after: Arc<dyn Fn(Answered) + Send + Sync>,
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks").finish_non_exhaustive()
    }
}

/// An answer that has ended.
#[derive(Debug, Clone)]
pub struct Answered {
    /// The conversation with the answer at its end, without the seed of this answer; `None` for a text that was continued.
    pub conversation: Option<ChatRequest>,
    /// The namespace of the prompt.
    pub namespace: Namespace,
    /// The tokens of the prompt.
    pub prompt: Arc<Vec<Token>>,
    /// Its token counts.
    pub usage: Usage,
    /// Its times.
    pub timings: Timings,
}

/// An answer on its way to [`Hooks::after`].
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) hooks: Hooks,
    pub(super) request: Option<Arc<ChatRequest>>,
    pub(super) namespace: Namespace,
    pub(super) prompt: Arc<Vec<Token>>,
    pub(super) reasoning: String,
    pub(super) content: String,
    pub(super) calls: Vec<ToolCall>,
}

impl Watched {
    /// An answer that begins.
    pub(super) fn new(
        hooks: Hooks,
        request: Option<Arc<ChatRequest>>,
        namespace: Namespace,
        prompt: Arc<Vec<Token>>,
    ) -> Self {
        let (reasoning, content, calls) = (String::new(), String::new(), Vec::new());
        Self { hooks, request, namespace, prompt, reasoning, content, calls }
    }

    /// Reports that the answer has ended.
    pub(super) fn end(self, usage: Usage, timings: Timings) {
        let Self { hooks, request, namespace, prompt, reasoning, content, calls } = self;
        let conversation = request.map(Arc::unwrap_or_clone).map(|mut request| {
            let mut answer = Message::new(Role::Assistant, content);
            answer.reasoning_content = (!reasoning.is_empty()).then_some(reasoning);
            answer.tool_calls = calls;
            match request.messages.last_mut().filter(|_| request.continue_final) {
                Some(last) => append(last, answer),
                None => request.messages.push(answer),
            }
            request.continue_final = false;
            request
        });
        (hooks.after)(Answered { conversation, namespace, prompt, usage, timings });
    }
}

/// Appends the continuation of a message to it.
fn append(message: &mut Message, rest: Message) {
    if let Some(reasoning) = rest.reasoning_content {
        message.reasoning_content.get_or_insert_default().push_str(&reasoning);
    }
    message.content = crate::chat::Content::Text(message.content.text() + &rest.content.text());
    message.tool_calls.extend(rest.tool_calls);
}
