//! Translates `OpenAI`'s requests, answers, chunks and errors to and from ours: one mapping for every front end.
//!
//! Pure: JSON in, JSON out. Sampling fields have the names of llama-server. Not here: lines, files, connections, and
//! refusing what a front end does not support.

mod chunk;
pub mod completion;
mod endpoint;
mod error;
mod fields;
mod logprobs;
mod models;
mod options;
mod parts;
mod prompts;
mod refusal;
mod request;
mod response;
pub mod responses;
mod sampling;
mod so_far;
#[cfg(test)]
mod tests;

pub use chunk::{Chunks, Piece};
pub use endpoint::Endpoint;
pub use error::{ApiError, ErrorCode};
pub use fields::UnknownField;
#[cfg(test)]
pub(crate) use fields::taken;
pub(crate) use fields::{Fields, wrong};
pub use logprobs::logprobs;
pub use models::{ModelCard, ModelFacts};
pub(crate) use options::{schema, template_variables};
pub use parts::{call, finish_reason, timings};
pub use refusal::Refusal;
pub use request::{Asked, Prompt, Stream, WITHOUT_EFFECT, read};
pub use response::{Choice, Head, body};
pub(crate) use sampling::read as read_sampling;
pub use sampling::{MOST_BIASES, write as write_sampling};
pub use so_far::SoFar;
