//! Devices of other machines over llama.cpp's RPC, and this machine's devices as a worker.
//!
//! Not here: which tensors are placed there.

mod client;
mod endpoint;
mod error;
mod hello;
mod message;
mod procedure;
mod resolve;
mod server;

pub(super) use client::Watch;
pub use client::{connect, greet};
pub use endpoint::{Endpoint, EndpointError};
pub use error::WorkerError;
pub use message::{GREETING, Greeting, answer};
pub(super) use procedure::{is_built, procedure};
pub use server::{Lent, lendable, listen, serve_socket, version};
