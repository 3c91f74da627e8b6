//! Messages to a prompt, and an answer's text to its parts. Pure text: knows no tokens and no engine.

mod builtins;
mod message;
mod python;
mod reasoning;
mod strftime;
mod template;

pub use message::{Content, FunctionCall, Message, Role, ToolCall, ToolKind};
pub use reasoning::{CLOSE, Delta, OPEN, ReasoningParser, Start};
pub use template::{Error, RenderOptions, Template};
