//! Turns messages into a prompt, and an answer's text into its parts. Not here: tokens, and the engine.

mod answer;
mod builtins;
mod delta;
mod marked;
mod message;
mod observed;
mod python;
mod reasoning;
mod rendered;
mod strftime;
mod tags;
mod template;
mod tools;

pub use answer::AnswerParser;
pub use delta::Delta;
pub use message::{Content, FunctionCall, Message, Role, ToolCall, ToolKind};
pub use reasoning::{Place, ReasoningParser};
pub use rendered::Rendered;
pub use tags::{Start, Tags};
pub use template::{Error, RenderOptions, SWITCHES, Template};
pub use tools::{CallRules, Calls, ToolFormat, Unheld};
