//! Turns messages into a prompt, and an answer's text into its parts. Not here: tokens, and the engine.

mod answer;
mod bound;
mod builtins;
mod channels;
mod conversation;
#[cfg(test)]
mod cuts;
mod delta;
mod guard;
mod harmony;
mod ids;
mod lists;
mod marked;
mod message;
mod methods;
mod observed;
mod parts;
mod pending;
mod probe;
mod python;
mod reasoning;
mod rendered;
mod singly;
mod spelled;
mod strftime;
mod syntax;
mod tags;
mod template;
mod thread;
mod tools;
mod unclosed;
mod walk;

pub use answer::AnswerParser;
pub use bound::Bound;
pub use delta::Delta;
pub use message::{Content, FunctionCall, Message, Role, ToolCall, ToolKind};
pub use parts::NotText;
pub use reasoning::{Place, ReasoningParser};
pub use rendered::Rendered;
pub use strftime::format as strftime;
pub use tags::{Next, Start, Tags};
pub use template::{Error, RenderOptions, SWITCHES, Template};
pub use tools::{CallRules, Calls, ToolFormat, Unheld};
