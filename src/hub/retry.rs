//! Retries with growing pauses.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

use super::client::{Failure, pause};
use super::{Error, Event, Observer};

/// Retries in a row without progress before a request is given up: about four minutes.
const RETRIES: usize = 8;

/// The retries of one request.
pub(super) struct Retries<'a> {
    what: &'a str,
    pauses: ExponentialBackoff,
    done: usize,
}

impl<'a> Retries<'a> {
    pub(super) fn new(what: &'a str) -> Self {
        Self { what, pauses: pauses(), done: 0 }
    }

    /// Repeats a request until it succeeds or is given up.
    pub(super) async fn until<T>(
        mut self,
        request: impl AsyncFn() -> Result<T, Failure>,
        stop: &AtomicBool,
        observer: Observer<'_>,
    ) -> Result<T, Error> {
        loop {
            match request().await {
                Ok(response) => return Ok(response),
                Err(failure) => self.wait_after(failure, stop, observer).await?,
            }
        }
    }

    /// Starts the count again: an attempt that made progress does not count.
    pub(super) fn progressed(&mut self) {
        (self.pauses, self.done) = (pauses(), 0);
    }

    /// Waits after a failure, or gives up.
    pub(super) async fn wait_after(
        &mut self,
        failure: Failure,
        stop: &AtomicBool,
        observer: Observer<'_>,
    ) -> Result<(), Error> {
        let (reason, requested) = match failure {
            Failure::Final(error) => return Err(error),
            Failure::Transient { reason, pause } => (reason, pause),
        };
        let what = self.what;
        let Some(next) = self.pauses.next() else {
            return Err(Error::Network { what: what.to_owned(), reason, attempts: Some(self.done + 1) });
        };
        self.done += 1;
        let time = requested.unwrap_or(next);
        observer(Event::Retrying { what, reason: &reason, pause: time, retry: self.done, retries: RETRIES });
        pause(time, stop).await
    }
}

fn pauses() -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(500))
        .with_max_delay(Duration::from_mins(1))
        .with_max_times(RETRIES)
        .with_jitter()
        .build()
}
