//! Why a worker cannot be used, or cannot serve.

use std::io;
use std::net::SocketAddr;

use super::Endpoint;

/// Why a worker cannot be used, or cannot serve.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkerError {
    /// llama.cpp was built without RPC.
    #[error("llama.cpp was built without RPC")]
    NotBuilt,
    /// llama.cpp was built without the patch for workers.
    #[error("llama.cpp was built without the patch that lets it serve each client in a process of its own")]
    NotPatched,
    /// The host cannot be resolved.
    #[error("cannot resolve the host of `{endpoint}`")]
    Resolve {
        /// The worker.
        endpoint: Endpoint,
        /// The system's error.
        source: io::Error,
    },
    /// Nothing listens there.
    #[error("cannot connect to a worker at `{endpoint}`")]
    Connect {
        /// The worker.
        endpoint: Endpoint,
        /// The system's error.
        source: io::Error,
    },
    /// The worker does not answer.
    #[error(
        "the worker at `{endpoint}` did not answer in {seconds} s; it may already serve its maximum number of clients"
    )]
    Silent {
        /// The worker.
        endpoint: Endpoint,
        /// The time waited.
        seconds: u64,
    },
    /// Another program answers.
    #[error("`{endpoint}` is not an RPC worker")]
    Stranger {
        /// The worker.
        endpoint: Endpoint,
        /// What is wrong with its answer.
        source: io::Error,
    },
    /// The worker has another version.
    #[error(
        "the worker at `{endpoint}` has version {}.{} of llama.cpp's RPC, expected {}.{}",
        found[0], found[1], expected[0], expected[1]
    )]
    Version {
        /// The worker.
        endpoint: Endpoint,
        /// Its major and minor version.
        found: [u8; 2],
        /// Ours.
        expected: [u8; 2],
    },
    /// The worker has no device, or the connection was lost.
    #[error("the worker at `{endpoint}` offers no device{}", reason(log))]
    Empty {
        /// The worker.
        endpoint: Endpoint,
        /// llama.cpp's last warnings and errors.
        log: Vec<String>,
    },
    /// The device does not exist.
    #[error("unknown device `{name}`, expected {}", known.join(" or "))]
    Device {
        /// The requested name.
        name: String,
        /// The existing names.
        known: Vec<String>,
    },
    /// It is not possible to listen on the address.
    #[error("cannot listen on `{address}`")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's error.
        source: io::Error,
    },
}

fn reason(log: &[String]) -> String {
    if log.is_empty() { String::new() } else { format!(": {}", log.join("; ")) }
}
