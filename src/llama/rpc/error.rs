//! Errors of workers.

use std::io;
use std::net::SocketAddr;

use super::Endpoint;

/// Why a worker cannot be used, or cannot serve.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkerError {
    /// llama.cpp was built without it.
    #[error("this build of llama.cpp has no RPC")]
    NotBuilt,
    /// The name is unknown.
    #[error("cannot find the host of `{endpoint}`")]
    Resolve {
        /// The worker.
        endpoint: Endpoint,
        /// Why.
        source: io::Error,
    },
    /// The connection was refused.
    #[error("cannot connect to a worker at `{endpoint}`")]
    Connect {
        /// The worker.
        endpoint: Endpoint,
        /// Why.
        source: io::Error,
    },
    /// The worker does not answer.
    #[error("the worker at `{endpoint}` did not answer in {seconds} s; it serves one client at a time")]
    Silent {
        /// The worker.
        endpoint: Endpoint,
        /// The timeout.
        seconds: u64,
    },
    /// The answer is not that of a worker.
    #[error("`{endpoint}` is not an RPC worker")]
    Stranger {
        /// The worker.
        endpoint: Endpoint,
        /// Why.
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
    /// The worker offers no device, or was lost.
    #[error("the worker at `{endpoint}` offers no device{}", reason(log))]
    Empty {
        /// The worker.
        endpoint: Endpoint,
        /// llama.cpp's last warnings and errors.
        log: Vec<String>,
    },
    /// This machine has no such device.
    #[error("unknown device `{name}`, expected {}", known.join(" or "))]
    Device {
        /// The given name.
        name: String,
        /// The devices of this machine.
        known: Vec<String>,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on `{address}`")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// llama.cpp's server ended, which happens only if it cannot start.
    #[error("llama.cpp's RPC server ended")]
    Ended,
}

fn reason(log: &[String]) -> String {
    if log.is_empty() { String::new() } else { format!(": {}", log.join("; ")) }
}
