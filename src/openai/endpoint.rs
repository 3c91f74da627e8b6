//! The endpoints that generate.

/// An endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    /// `/v1/chat/completions`: the next turn of a conversation.
    Chat,
    /// `/v1/completions`: the continuation of a text.
    Text,
}

impl Endpoint {
    /// The `object` of a chunk.
    pub(super) fn chunk(self) -> &'static str {
        match self {
            Self::Chat => "chat.completion.chunk",
            Self::Text => "text_completion",
        }
    }
}
