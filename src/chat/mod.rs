//! Messages to a prompt, and an answer's text to its parts. Pure text: knows no tokens and no engine.

mod message;
mod python;
mod reasoning;
mod strftime;
mod template;

pub use message::{FunctionCall, Message, Role, ToolCall};
pub use reasoning::{CLOSE, Delta, OPEN, ReasoningParser, Start};
pub use template::{Error, RenderOptions, Template};
