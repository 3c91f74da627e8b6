//! `OpenAI`'s requests and answers, to and from ours: what a batch reads and writes, and a server will.
//!
//! Pure: a JSON body and defaults in, a request out, and the other way. The names of sampling fields are those of
//! llama-server. Not here: lines, files, connections.

mod error;
mod fields;
mod logprobs;
mod request;
mod response;
mod sampling;
#[cfg(test)]
mod tests;

pub use error::Refusal;
pub use logprobs::logprobs;
pub use request::{Asked, Defaults, Endpoint, IGNORED, Kind, read};
pub use response::{Choice, Head, body, call, finish_reason};
pub use sampling::write as write_sampling;
