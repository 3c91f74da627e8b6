//! An HTTP server with the APIs of OpenAI, Anthropic and llama-server.
//!
//! A request passes through the router to its endpoint, which reads the body, renders, tokenizes and submits on a blocking
//! thread (`generate`), and encodes the answer's events as frames or as one body (`stream`).

pub mod access;
mod admission;
mod app;
mod body;
mod calculate;
mod drain;
mod encoder;
mod endpoints;
mod engine;
mod error;
mod followed;
mod forms;
mod frames;
mod generate;
mod id;
mod intake;
mod job;
mod json_body;
mod layers;
pub mod limits;
pub mod listen;
mod metrics;
mod must_end;
mod page;
mod queue;
mod receive;
mod refused;
mod router;
mod running;
pub mod security;
mod sessions;
mod stream;
#[cfg(test)]
mod stream_tests;
mod tally;
#[cfg(test)]
mod testing;

pub use app::{App, Phase, Settings};
pub use drain::{Drain, Stage};
pub use engine::{Card, Engine, Failure};
pub use layers::layered;
pub use metrics::Metrics;
pub use page::{Folder, FolderError, Page};
pub use router::{open_paths, router};
pub use sessions::Sessions;
