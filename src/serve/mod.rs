//! An HTTP server with the APIs of OpenAI, Anthropic and llama-server.
//!
//! A request passes through the router to its endpoint, which reads the body, renders, tokenizes and submits on a blocking
//! thread ([`generate`]), and encodes the answer's events as frames or as one body ([`stream`]).

mod app;
mod body;
mod endpoints;
mod engine;
mod error;
mod generate;
mod id;
mod router;
mod running;
mod stream;
#[cfg(test)]
mod stream_tests;
mod tally;
#[cfg(test)]
mod testing;

pub use app::{App, Phase, Settings};
pub use engine::{Card, Engine};
pub use error::HttpError;
pub use router::router;
pub use tally::{Ended, Reason, Taken, Tally};
