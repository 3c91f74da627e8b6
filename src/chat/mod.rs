//! Messages to a prompt, and an answer's text to its parts. Pure text: knows no tokens and no engine.

mod answer;
mod builtins;
mod message;
mod python;
mod reasoning;
mod strftime;
mod template;
mod tools;

pub use answer::{AnswerParser, Delta};
pub use message::{Content, FunctionCall, Message, Role, ToolCall, ToolKind};
pub use reasoning::{Place, ReasoningParser, Start, Tags};
pub use template::{Error, RenderOptions, SWITCHES, Template};
pub use tools::ToolFormat;
