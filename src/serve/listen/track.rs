//! What a connection is waiting for, and until when. Its parts share one [`Track`]: the socket, the service and the bodies.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use crate::serve::limits::Limits;

/// The other end of a connection; each request has it as an extension.
#[derive(Debug, Clone)]
pub struct Peer {
    /// The address; `None` on a Unix socket.
    pub address: Option<IpAddr>,
    pub(super) track: Arc<Track>,
}

impl Peer {
    /// Closes the connection after the response.
    pub fn close_after_response(&self) {
        self.track.lock().close = true;
    }
}

/// What a connection waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The first byte.
    New(Instant),
    /// The first byte of the next request.
    Idle(Instant),
    /// The rest of a request line and headers.
    Head(Instant),
    /// A response.
    Busy,
}

/// What is due at a deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// The connection is closed.
    Close,
    /// The client took too long for its headers.
    SlowHeaders,
    /// The client takes no bytes.
    Blocked,
    /// Whether the client is gone is checked.
    Check,
}

/// The state of a connection.
#[derive(Debug)]
pub(super) struct Track(Mutex<State>);

#[derive(Debug)]
pub(super) struct State {
    pub(super) phase: Phase,
    /// Since when the client takes no bytes.
    pub(super) blocked: Option<Instant>,
    /// Whether everything that was written before is sent, and no request has begun since.
    pub(super) quiet: bool,
    /// Whether a part of a request body is not read.
    pub(super) unread: bool,
    /// Whether the connection is closed after the response.
    pub(super) close: bool,
}

impl Track {
    pub(super) fn new() -> Arc<Self> {
        let phase = Phase::New(Instant::now());
        Arc::new(Self(Mutex::new(State { phase, blocked: None, quiet: true, unread: false, close: false })))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a request, which ends when the result is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> Busy {
        let mut state = self.lock();
        (state.phase, state.quiet) = (Phase::Busy, false);
        Busy(Arc::clone(self))
    }

    /// The next deadline, and what is due then.
    pub(super) fn deadline(&self, limits: &Limits) -> (Instant, Due) {
        let state = self.lock();
        let phase = match state.phase {
            Phase::New(since) => (since + limits.header_time, Due::Close),
            Phase::Idle(since) => (since + limits.idle, Due::Close),
            Phase::Head(since) => (since + limits.header_time, Due::SlowHeaders),
            Phase::Busy => (Instant::now() + limits.check, Due::Check),
        };
        match state.blocked {
            // A client that takes no bytes is not idle.
            Some(since) => (since + limits.write, Due::Blocked),
            None => phase,
        }
    }
}

/// A running request; dropped at the end of its response, or with it.
#[derive(Debug)]
pub(super) struct Busy(Arc<Track>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.lock().phase = Phase::Idle(Instant::now());
    }
}
