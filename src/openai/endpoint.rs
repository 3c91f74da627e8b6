//! The endpoints that generate.

/// An endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    /// `/v1/chat/completions`: the next turn of a conversation.
    Chat,
    /// `/v1/completions`: the continuation of a text.
    Text,
}
