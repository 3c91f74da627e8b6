//! Requests that are refused before they reach an endpoint.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};

use super::error::HttpError;
use crate::openai::{ApiError, ErrorCode};

/// A request that is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// The bytes are not HTTP/1.1.
    #[error("not an HTTP/1.1 request")]
    NotHttp,
    /// The request line and headers are too long.
    #[error("the headers are too long; at most {bytes} bytes and {lines} lines are accepted")]
    Headers {
        /// Bytes accepted.
        bytes: usize,
        /// Lines accepted.
        lines: usize,
    },
    /// The headers did not arrive in time.
    #[error("the headers did not arrive within {} s", .time.as_secs_f32())]
    SlowHeaders {
        /// The time.
        time: Duration,
    },
    /// The body did not arrive in time.
    #[error("the body did not arrive in time; at most {} s may pass without a byte, and {} s in all", .pause.as_secs_f32(), .time.as_secs_f32())]
    SlowBody {
        /// Time without a byte.
        pause: Duration,
        /// Time in all.
        time: Duration,
    },
    /// The body is too long.
    #[error("the body is longer than {limit} bytes")]
    TooLarge {
        /// Bytes accepted.
        limit: usize,
    },
    /// The body is compressed.
    #[error("`content-encoding: {encoding}` is not supported")]
    Encoding {
        /// The encoding.
        encoding: String,
    },
    /// The connection was lost within the body.
    #[error("the body is incomplete")]
    Incomplete,
    /// The body is not a JSON object.
    #[error("{reason}")]
    Body {
        /// What is wrong.
        reason: String,
    },
    /// The API key is missing or unknown.
    #[error("{}", if *.missing { "an API key is required" } else { "the API key is invalid" })]
    Key {
        /// Whether the request has no key.
        missing: bool,
    },
    /// The name in `Host` may lead here by a foreign DNS server.
    #[error(
        "the host `{host}` is not allowed; expected an IP address, `localhost` or a name of `--allowed-host`"
    )]
    Host {
        /// The header.
        host: String,
    },
    /// A page of another site sends requests here.
    #[error("the origin `{origin}` is not allowed; expected one of `--cors-origins`")]
    Origin {
        /// The header.
        origin: String,
    },
    /// One client has as many open requests as it may have.
    #[error("too many open requests from this client; at most {limit} are accepted")]
    ClientLimit {
        /// Requests accepted.
        limit: usize,
        /// Seconds after which to try again.
        retry_after: u64,
    },
    /// There are as many open requests as there may be.
    #[error("the queue is full: {open} requests are open")]
    QueueFull {
        /// Open requests.
        open: usize,
        /// Seconds after which to try again.
        retry_after: u64,
    },
    /// The bodies of open requests take all memory for them.
    #[error("the memory for request bodies is in use")]
    Bodies,
    /// The server ends.
    #[error("the server is shutting down")]
    Draining,
}

impl Refused {
    /// The kind of error.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::NotHttp | Self::Encoding { .. } | Self::Incomplete | Self::Body { .. } => {
                ErrorCode::InvalidRequest
            }
            Self::Headers { .. } => ErrorCode::HeadersTooLarge,
            Self::SlowHeaders { .. } | Self::SlowBody { .. } => ErrorCode::TimedOut,
            Self::TooLarge { .. } => ErrorCode::BodyTooLarge,
            Self::Key { .. } => ErrorCode::InvalidKey,
            Self::Host { .. } | Self::Origin { .. } => ErrorCode::Forbidden,
            Self::ClientLimit { .. } => ErrorCode::TooManyRequests,
            Self::QueueFull { .. } | Self::Bodies | Self::Draining => ErrorCode::Overloaded,
        }
    }

    /// Seconds after which to try again.
    #[must_use]
    pub fn retry_after(&self) -> Option<u64> {
        match self {
            Self::ClientLimit { retry_after, .. } | Self::QueueFull { retry_after, .. } => Some(*retry_after),
            Self::Bodies | Self::Draining => Some(1),
            _ => None,
        }
    }

    /// Whether the rest of the request is not read, so that the connection cannot be used again.
    fn closes(&self) -> bool {
        matches!(
            self,
            Self::SlowBody { .. } | Self::TooLarge { .. } | Self::Incomplete | Self::Bodies | Self::Draining
        )
    }
}

impl From<&Refused> for ApiError {
    fn from(refused: &Refused) -> Self {
        Self::new(refused.code(), refused.to_string())
    }
}

impl From<Refused> for HttpError {
    fn from(refused: Refused) -> Self {
        Self { error: ApiError::from(&refused), retry_after: refused.retry_after() }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let (closes, needs_key) = (self.closes(), matches!(self, Self::Key { .. }));
        let mut response = HttpError::from(self).into_response();
        let headers = response.headers_mut();
        if closes {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if needs_key {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_has_its_status_and_headers() {
        let header = |refused: &Refused, name: &str| {
            let response = refused.clone().into_response();
            response.headers().get(name).map(|value| value.to_str().unwrap().to_owned())
        };
        let key = Refused::Key { missing: false };
        let full = Refused::QueueFull { open: 68, retry_after: 7 };
        let large = Refused::TooLarge { limit: 9 };
        let client = Refused::ClientLimit { limit: 2, retry_after: 1 };
        let host = Refused::Host { host: "x".to_owned() };
        let (pause, time) = (Duration::from_secs(10), Duration::from_mins(2));
        for (refused, status, kind) in [
            (&key, 401, "authentication_error"),
            (&host, 403, "permission_error"),
            (&Refused::SlowHeaders { time }, 408, "invalid_request_error"),
            (&Refused::SlowBody { pause, time }, 408, "invalid_request_error"),
            (&large, 413, "invalid_request_error"),
            (&client, 429, "rate_limit_error"),
            (&Refused::Headers { bytes: 1, lines: 1 }, 431, "invalid_request_error"),
            (&full, 503, "unavailable_error"),
            (&Refused::Draining, 503, "unavailable_error"),
        ] {
            let response = refused.clone().into_response();
            assert_eq!((response.status().as_u16(), refused.code().kind()), (status, kind));
        }
        assert_eq!(header(&full, "retry-after").as_deref(), Some("7"));
        assert_eq!(header(&key, "www-authenticate").as_deref(), Some("Bearer"));
        assert_eq!(header(&large, "connection").as_deref(), Some("close"));
        assert_eq!(header(&full, "connection"), None);
    }
}
