//! Why a request failed, by what a retry may change.

use std::time::Duration;

use super::Error;

/// The longest time that a request is repeated without progress, and the longest pause that a server may ask for. The
/// public hub counts requests over five minutes.
pub(super) const PATIENCE: Duration = Duration::from_mins(5);

/// Why a request failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The connection to a server that never answered failed.
    Unreachable { reason: String },
    /// The connection to a server that answered before failed.
    Lost { reason: String },
    /// A connection was lost, delivers nothing, or is too slow.
    Broken { reason: String },
    /// The server asks to retry: 429, 408 or 5xx.
    Busy { host: String, status: u16, pause: Option<Duration> },
    /// Would fail again.
    Final(Error),
}

impl Failure {
    /// Why the request failed.
    pub(super) fn reason(&self) -> String {
        match self {
            Self::Unreachable { reason } | Self::Lost { reason } | Self::Broken { reason } => reason.clone(),
            Self::Busy { status: 429, .. } => "rate limited by the hub (429)".to_owned(),
            Self::Busy { host, status, .. } => format!("`{host}` returned {status}"),
            Self::Final(error) => error.to_string(),
        }
    }

    /// The error of a request that is not retried any more.
    pub(super) fn give_up(self, what: &str, attempts: usize) -> Error {
        let (what, reason) = (what.to_owned(), self.reason());
        match self {
            Self::Final(error) => error,
            Self::Busy { host, status, pause: Some(pause) } if pause > PATIENCE => {
                Error::RetryLater { what, host, status, seconds: pause.as_secs() }
            }
            Self::Unreachable { .. } | Self::Lost { .. } | Self::Broken { .. } | Self::Busy { .. } => {
                Error::Network { what, reason, attempts: (attempts > 1).then_some(attempts) }
            }
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Final(error)
    }
}
