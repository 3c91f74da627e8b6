//! How often something is tried again, and after which pauses.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

use super::client::{Fault, pause};
use super::{Error, Event, Observer};

/// Tries in a row that bring nothing, before it is given up: some four minutes.
const TRIES: usize = 8;

/// The tries of one request.
pub(super) struct Tries<'a> {
    what: &'a str,
    pauses: ExponentialBackoff,
}

impl<'a> Tries<'a> {
    pub(super) fn new(what: &'a str) -> Self {
        Self { what, pauses: pauses() }
    }

    /// Asks until there is an answer, or it is given up.
    pub(super) async fn until<T>(
        mut self,
        ask: impl AsyncFn() -> Result<T, Fault>,
        stop: &AtomicBool,
        observer: Observer<'_>,
    ) -> Result<T, Error> {
        loop {
            match ask().await {
                Ok(answer) => return Ok(answer),
                Err(fault) => self.after(fault, stop, observer).await?,
            }
        }
    }

    /// A try that brought something does not count.
    pub(super) fn progressed(&mut self) {
        self.pauses = pauses();
    }

    /// Waits after a fault, or gives up.
    pub(super) async fn after(
        &mut self,
        fault: Fault,
        stop: &AtomicBool,
        observer: Observer<'_>,
    ) -> Result<(), Error> {
        let (reason, wanted) = match fault {
            Fault::Final(error) => return Err(error),
            Fault::Passing { reason, pause } => (reason, pause),
        };
        let what = self.what;
        let Some(next) = self.pauses.next() else {
            return Err(Error::Line { what: what.to_owned(), reason });
        };
        let time = wanted.unwrap_or(next);
        observer(Event::Waiting { what, reason: &reason, pause: time });
        pause(time, stop).await
    }
}

fn pauses() -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(500))
        .with_max_delay(Duration::from_mins(1))
        .with_max_times(TRIES)
        .with_jitter()
        .build()
}
