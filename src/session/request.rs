//! Generation requests: a conversation to answer, or a text to continue.

use std::fmt;
use std::sync::Arc;

use crate::chat::Message;
use crate::engine::{SamplingParams, Token};

/// A conversation to answer.
#[derive(Debug, Clone)]
pub struct ChatRequest {
    /// The conversation so far.
    pub messages: Vec<Message>,
    /// How tokens are chosen. A grammar is for the whole answer, a JSON schema for one that calls no functions.
    pub sampling: SamplingParams,
    /// Ends the answer after this many tokens, reasoning included.
    pub max_tokens: Option<u32>,
    /// Texts that end the answer.
    pub stop: Vec<String>,
    /// Functions the model may call, as JSON schemas.
    pub tools: Vec<serde_json::Value>,
    /// Which of them it may or must call.
    pub tool_choice: ToolChoice,
    /// Allows more than one call. Otherwise the answer ends after the first.
    pub parallel_tool_calls: bool,
    /// The ids of its calls.
    pub tool_call_ids: ToolCallIds,
    /// Continues the last message, which is the assistant's, instead of answering it. The answer is the new text alone,
    /// and a grammar applies to that text alone. A message with reasoning and no content is continued in its reasoning.
    pub continue_final: bool,
    /// More variables for the template, such as `enable_thinking`.
    pub variables: serde_json::Map<String, serde_json::Value>,
    /// Ends the prompt with an empty block of reasoning, if the template leaves the reasoning to the model.
    pub empty_reasoning: bool,
    /// Ends the reasoning after this many tokens; `None` leaves it to the model.
    pub reasoning_budget: Option<u32>,
    /// Forced at the end of the reasoning when its budget is used up or it is ended from outside.
    pub reasoning_budget_message: String,
}

impl ChatRequest {
    /// A conversation, and the default of everything else.
    #[must_use]
    pub fn new(messages: Vec<Message>, sampling: SamplingParams) -> Self {
        Self {
            messages,
            sampling,
            max_tokens: None,
            stop: Vec::new(),
            tools: Vec::new(),
            tool_choice: ToolChoice::default(),
            parallel_tool_calls: true,
            tool_call_ids: ToolCallIds::default(),
            continue_final: false,
            variables: serde_json::Map::new(),
            empty_reasoning: false,
            reasoning_budget: None,
            reasoning_budget_message: REASONING_BUDGET_MESSAGE.to_owned(),
        }
    }
}

/// The default of [`ChatRequest::reasoning_budget_message`].
pub const REASONING_BUDGET_MESSAGE: &str = "\n\nThat is enough thinking. I will answer now.";

/// Which functions an answer may or must call.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ToolChoice {
    /// Any or none, as the model decides.
    #[default]
    Auto,
    /// None: the template is given no tools.
    None,
    /// At least one of any; exactly one without [`ChatRequest::parallel_tool_calls`].
    Required,
    /// This one, once.
    Function(String),
}

/// Where the ids of tool calls come from.
#[derive(Clone, Default)]
pub enum ToolCallIds {
    /// `call_0`, `call_1` and so on, counted from the calls in the conversation.
    #[default]
    Counted,
    /// From the caller, once for each call.
    Supplied(Arc<dyn Fn() -> String + Send + Sync>),
}

impl fmt::Debug for ToolCallIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Counted => "Counted",
            Self::Supplied(_) => "Supplied",
        })
    }
}

/// A text to continue as it is, without a template.
#[derive(Debug, Clone)]
pub struct TextRequest {
    /// The text.
    pub prompt: PromptText,
    /// How tokens are chosen.
    pub sampling: SamplingParams,
    /// Ends the answer after this many tokens.
    pub max_tokens: Option<u32>,
    /// Texts that end the answer.
    pub stop: Vec<String>,
}

/// A text to continue, in parts that are joined. The model's first token is added before a text at the start.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PromptText(pub Vec<PromptPart>);

/// A part of a text to continue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PromptPart {
    /// Text. The text of a special token in it is that token.
    Text(String),
    /// Tokens, which the engine checks against the vocabulary.
    Tokens(Vec<Token>),
}

impl PromptText {
    /// The text, if there are no tokens.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self.0.as_slice() {
            [] => Some(""),
            [PromptPart::Text(text)] => Some(text),
            _ => None,
        }
    }
}

impl From<Vec<Token>> for PromptText {
    fn from(tokens: Vec<Token>) -> Self {
        Self(vec![PromptPart::Tokens(tokens)])
    }
}

impl From<String> for PromptText {
    fn from(text: String) -> Self {
        Self(vec![PromptPart::Text(text)])
    }
}
