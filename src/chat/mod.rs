//! Messages to a prompt, and an answer's text to its parts. Not here: tokens, and the engine.

mod answer;
mod builtins;
mod marked;
mod message;
mod observed;
mod python;
mod reasoning;
mod rendered;
mod strftime;
mod template;
mod tools;

pub use answer::{AnswerParser, Delta};
pub use message::{Content, FunctionCall, Message, Role, ToolCall, ToolKind};
pub use reasoning::{Place, ReasoningParser, Start, Tags};
pub use rendered::Rendered;
pub use template::{Error, RenderOptions, SWITCHES, Template};
pub use tools::{CallRules, Calls, ToolFormat};
