//! Retries with growing pauses, bounded in number and in time. The rules are pure; the clock is the caller's.

use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

use super::client::pause;
use super::failure::{Failure, PATIENCE};
use super::pace::LEAST_RATE;
use super::{Error, Event, Observer};

/// The longest time that a server which never answered is tried again.
const CONNECTING: Duration = Duration::from_secs(10);
/// Retries in a row without progress.
const RETRIES: usize = 8;
/// The same, for a transfer of which nothing was received.
const RETRIES_OF_NOTHING: usize = 5;
/// The same, for a server that never answered.
const RETRIES_OF_CONNECTING: usize = 3;

/// The retries of one request.
pub(super) struct Retries<'a> {
    what: &'a str,
    pauses: ExponentialBackoff,
    /// Retries since the last progress.
    done: usize,
    /// Whether any attempt made progress.
    received: bool,
    /// The time of the last progress, or of the start.
    since: Instant,
}

impl<'a> Retries<'a> {
    pub(super) fn new(what: &'a str) -> Self {
        Self { what, pauses: pauses(), done: 0, received: false, since: Instant::now() }
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

    /// Starts the count again after an attempt that received bytes at the least rate. A server that sends a byte and
    /// closes the connection is given up.
    pub(super) fn received(&mut self, bytes: u64) {
        if is_progress(bytes, self.since.elapsed()) {
            (self.pauses, self.done, self.received, self.since) = (pauses(), 0, true, Instant::now());
        }
    }

    /// Waits after a failure, or gives up.
    pub(super) async fn wait_after(
        &mut self,
        failure: Failure,
        stop: &AtomicBool,
        observer: Observer<'_>,
    ) -> Result<(), Error> {
        let what = self.what;
        let retries = limit(&failure, self.received);
        let next = self.pauses.next().unwrap_or_default();
        let time = match allowed(&failure, next, self.done, retries, self.since.elapsed()) {
            Verdict::Wait(time) => time,
            Verdict::GiveUp => return Err(failure.give_up(what, self.done + 1)),
        };
        self.done += 1;
        let reason = failure.reason();
        observer(Event::Retrying { what, reason: &reason, pause: time, retry: self.done, retries });
        pause(time, stop).await
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Wait(Duration),
    GiveUp,
}

/// How often a failed request is retried.
fn limit(failure: &Failure, received: bool) -> usize {
    match failure {
        Failure::Final(_) => 0,
        Failure::Unreachable { .. } => RETRIES_OF_CONNECTING,
        Failure::Broken { .. } if !received => RETRIES_OF_NOTHING,
        Failure::Lost { .. } | Failure::Broken { .. } | Failure::Busy { .. } => RETRIES,
    }
}

/// The pause before the next attempt: `next`, or longer if the server asks for it.
fn allowed(failure: &Failure, next: Duration, done: usize, retries: usize, passed: Duration) -> Verdict {
    let (time, patience) = match failure {
        Failure::Busy { pause, .. } => (pause.map_or(next, |pause| pause.max(next)), PATIENCE),
        Failure::Unreachable { .. } => (next, CONNECTING),
        Failure::Lost { .. } | Failure::Broken { .. } | Failure::Final(_) => (next, PATIENCE),
    };
    if done >= retries || passed.saturating_add(time) > patience {
        Verdict::GiveUp
    } else {
        Verdict::Wait(time)
    }
}

fn is_progress(bytes: u64, passed: Duration) -> bool {
    bytes > 0 && u128::from(bytes) * 1000 >= u128::from(LEAST_RATE) * passed.as_millis()
}

fn pauses() -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(500))
        .with_max_delay(Duration::from_mins(1))
        .with_max_times(RETRIES)
        .with_jitter()
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken() -> Failure {
        Failure::Broken { reason: "connection lost".to_owned() }
    }

    fn busy(seconds: Option<u64>) -> Failure {
        let pause = seconds.map(Duration::from_secs);
        Failure::Busy { host: "h".to_owned(), status: 429, pause }
    }

    /// The pauses of a request whose every attempt takes `attempt` and fails.
    fn waits(failure: &Failure, received: bool, attempt: Duration) -> Vec<Duration> {
        let (mut waits, mut passed, retries) = (Vec::new(), attempt, limit(failure, received));
        for next in pauses() {
            let Verdict::Wait(time) = allowed(failure, next, waits.len(), retries, passed) else { break };
            waits.push(time);
            passed += time + attempt;
        }
        waits
    }

    fn total(waits: &[Duration]) -> Duration {
        waits.iter().sum()
    }

    #[test]
    fn a_server_that_was_never_reached_is_given_up_in_seconds() {
        let refused = Failure::Unreachable { reason: "connection refused".to_owned() };
        let tries = waits(&refused, false, Duration::ZERO);
        // Pauses of 0.5, 1 and 2 seconds, each up to twice as long by chance.
        assert!(tries.len() == 3 && total(&tries) <= Duration::from_secs(7), "{tries:?}");
        // A name server or a firewall that does not answer.
        assert_eq!(waits(&refused, false, Duration::from_secs(10)), []);
    }

    #[test]
    fn every_request_is_given_up_after_minutes_whatever_the_server_does() {
        for failure in [broken(), busy(None), busy(Some(0)), busy(Some(299)), busy(Some(999_999))] {
            for (received, attempt) in [(false, 0), (true, 0), (true, 30), (true, 60)] {
                let attempt = Duration::from_secs(attempt);
                let pauses = waits(&failure, received, attempt);
                let attempts = attempt * u32::try_from(pauses.len() + 1).unwrap();
                assert!(total(&pauses) + attempts <= PATIENCE + attempt, "{failure:?}: {pauses:?}");
                assert!(pauses.len() <= RETRIES);
            }
        }
        assert_eq!(waits(&busy(Some(301)), true, Duration::ZERO), [], "a longer pause is not waited for");
        assert_eq!(waits(&busy(Some(280)), true, Duration::ZERO), [Duration::from_secs(280)]);
    }

    #[test]
    fn a_server_that_answered_before_and_a_transfer_that_broke_are_retried_for_minutes() {
        let lost = waits(&Failure::Lost { reason: "connection refused".to_owned() }, false, Duration::ZERO);
        assert!(total(&lost) > Duration::from_mins(1), "{lost:?}");
        let (begun, never) =
            (waits(&broken(), true, Duration::ZERO), waits(&broken(), false, Duration::ZERO));
        assert!(total(&begun) > Duration::from_mins(1), "{begun:?}");
        // 0.5 to 8 seconds, each up to doubled by chance.
        assert!(never.len() == 5 && total(&never) <= Duration::from_secs(31), "{never:?}");
    }

    #[test]
    fn a_byte_before_every_failure_is_no_progress() {
        assert!(is_progress(20_000, Duration::from_secs(10)) && is_progress(1, Duration::ZERO));
        assert!(!is_progress(1, Duration::from_millis(500)) && !is_progress(0, Duration::ZERO));
        assert!(!is_progress(150, Duration::from_mins(1)));
    }
}
