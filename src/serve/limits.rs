//! The limits on connections, requests and bodies. Nothing that a client sends, or does not send, is held longer or in a
//! larger amount.

use std::time::Duration;

/// Limits of the server. The defaults are those of the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Connections that are open at once; beyond it none is accepted until one closes.
    pub connections: usize,
    /// Bytes of a request line and its headers.
    pub header_bytes: usize,
    /// Lines of headers.
    pub header_lines: usize,
    /// Time for a whole request line and its headers, from the first byte, or from the beginning of a connection.
    pub header_time: Duration,
    /// Time until the next request of a connection.
    pub idle: Duration,
    /// Time for a TLS handshake.
    pub handshake: Duration,
    /// Time in which a client takes no byte of a response, after which the connection is closed.
    pub write: Duration,
    /// Time in which a peer acknowledges nothing that was sent, after which the connection is closed.
    pub unacknowledged: Duration,
    /// Time in which a connection takes the rest of a refused request, so that the client reads the answer.
    pub linger: Duration,
    /// How often a connection with a running request is checked for a client that is gone.
    pub check: Duration,
    /// Time that connections have after [`Stage::Ending`](super::drain::Stage::Ending).
    pub ending: Duration,
    /// Bytes of a request body, and of a conversation in a response.
    pub body_bytes: usize,
    /// Bytes of the bodies of all requests that are being read or prepared, and of conversations in responses.
    pub all_bodies_bytes: usize,
    /// Time between two reads of a body.
    pub body_pause: Duration,
    /// Time for a whole body.
    pub body_time: Duration,
    /// Frames of a stream that wait to be written.
    pub frames: usize,
    /// Time after which a stream without other frames gets a ping.
    pub ping: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 16_384,
            header_bytes: 64 << 10,
            header_lines: 100,
            header_time: Duration::from_secs(15),
            idle: Duration::from_secs(75),
            handshake: Duration::from_secs(10),
            write: Duration::from_secs(30),
            unacknowledged: Duration::from_secs(30),
            linger: Duration::from_secs(2),
            check: Duration::from_secs(1),
            ending: Duration::from_secs(1),
            body_bytes: 16 << 20,
            all_bodies_bytes: 512 << 20,
            body_pause: Duration::from_secs(10),
            body_time: Duration::from_mins(2),
            frames: 64,
            ping: Duration::from_secs(5),
        }
    }
}
