//! Translates Anthropic's Messages API to and from ours. Pure: JSON in, JSON out.
//!
//! Requests become [`openai::Asked`](crate::openai::Asked), as those of every dialect. Sampling fields may have
//! llama-server's names too. Not here: lines of a stream, connections, and what a front end decides.

mod blocks;
mod error;
mod events;
mod options;
mod request;
mod response;
#[cfg(test)]
mod stream_tests;
mod system;
#[cfg(test)]
mod tests;
mod tools;
mod turns;

pub use error::{error_body, status};
pub use events::Events;
pub use request::read;
pub use response::{Head, body, count};
