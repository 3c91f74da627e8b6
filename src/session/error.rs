//! Why a conversation cannot be answered.

use crate::{chat, engine};

/// Why a request was not submitted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The template cannot render the conversation.
    #[error("cannot render the conversation")]
    Template(#[from] chat::Error),
    /// The choice of tools cannot be met.
    #[error(transparent)]
    ToolChoice(#[from] ToolChoiceError),
    /// The last message cannot be continued.
    #[error(transparent)]
    Continue(#[from] ContinueError),
    /// The message at the end of the reasoning would end it too early.
    #[error(
        "`reasoning_budget_message` has `{close}`, expected a text without the tag that ends the reasoning"
    )]
    BudgetMessage {
        /// The closing tag.
        close: &'static str,
    },
    /// The engine refused the request.
    #[error("cannot submit the request")]
    Engine(#[from] engine::Error),
}

/// Why calls cannot be held to rules.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ToolChoiceError {
    /// There are no functions to call.
    #[error("`tool_choice` requires a call, but `tools` is empty")]
    NoTools,
    /// The function is not among the tools.
    #[error("`tool_choice` names function `{name}`, which is not in `tools`")]
    UnknownFunction {
        /// The function's name.
        name: String,
    },
    /// The template has no calls, or in a syntax that is not supported.
    #[error("`tool_choice` requires a call, but the chat template has no supported syntax for calls")]
    UnknownSyntax,
    /// The schema of a function does not hold in the template's syntax.
    #[error("`tool_choice` requires a call, but {0}")]
    Unheld(#[from] chat::Unheld),
    /// A function that may be called instead of conforming to a JSON schema has a name that the template's syntax cannot
    /// have.
    #[error("`tools` cannot be called beside a JSON schema: {0}")]
    Unwritable(chat::Unheld),
    /// The request has a grammar of its own.
    #[error("`tool_choice` requires a call, which excludes a grammar and a `response_format`")]
    Grammar,
}

/// Why the last message cannot be continued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ContinueError {
    /// The last message is not the assistant's.
    #[error("cannot continue the last message: expected a message of the assistant")]
    NotAssistant,
    /// The last message has tool calls.
    #[error("cannot continue the last message: it has `tool_calls`")]
    HasCalls,
    /// The last message has no text.
    #[error("cannot continue the last message: it has no text")]
    Empty,
    /// The template leaves the text of the last message out, or changes it.
    #[error("cannot continue the last message: the chat template changes its text or leaves it out")]
    Altered,
}
