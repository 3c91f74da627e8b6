//! Why a worker cannot be used, or cannot serve.

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
        /// What the system says.
        source: io::Error,
    },
    /// Nobody is there.
    #[error("cannot connect to a worker at `{endpoint}`")]
    Connect {
        /// The worker.
        endpoint: Endpoint,
        /// What the system says.
        source: io::Error,
    },
    /// It does not answer.
    #[error("the worker at `{endpoint}` did not answer in {seconds} s; it serves one client at a time")]
    Silent {
        /// The worker.
        endpoint: Endpoint,
        /// How long it had.
        seconds: u64,
    },
    /// Something else answered.
    #[error("what answers at `{endpoint}` is no worker")]
    Stranger {
        /// The worker.
        endpoint: Endpoint,
        /// What was wrong with the answer.
        source: io::Error,
    },
    /// It is of another build.
    #[error(
        "the worker at `{endpoint}` speaks version {}.{} of llama.cpp's RPC, expected {}.{}",
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
    /// It has nothing to offer, or was lost before it could.
    #[error("the worker at `{endpoint}` offers no device{}", reason(log))]
    Empty {
        /// The worker.
        endpoint: Endpoint,
        /// llama.cpp's last warnings and errors.
        log: Vec<String>,
    },
    /// This machine has no such device.
    #[error("there is no device `{name}`, expected {}", known.join(" or "))]
    Device {
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on `{address}`")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// llama.cpp's server ended, which it does only when it cannot begin.
    #[error("llama.cpp's RPC server ended")]
    Ended,
}

fn reason(log: &[String]) -> String {
    if log.is_empty() { String::new() } else { format!(": {}", log.join("; ")) }
}
