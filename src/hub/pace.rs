//! The least rate of a transfer. A connection that delivers a byte now and then is not stalled, but would never end.

use std::time::{Duration, Instant};

/// Bytes per second, on average over a window.
pub(super) const LEAST_RATE: u64 = 1024;

/// The rate of one response.
#[derive(Debug)]
pub(super) struct Pace {
    window: Duration,
    begun: Instant,
    received: u64,
}

impl Pace {
    pub(super) fn new(window: Duration, now: Instant) -> Self {
        Self { window, begun: now, received: 0 }
    }

    /// Counts received bytes; `false` if the rate of the window that ends now is too low.
    pub(super) fn holds(&mut self, bytes: usize, now: Instant) -> bool {
        self.received = self.received.saturating_add(bytes as u64);
        let passed = now.saturating_duration_since(self.begun);
        if passed < self.window {
            return true;
        }
        let least = u128::from(LEAST_RATE) * passed.as_millis() / 1000;
        let holds = u128::from(self.received) >= least;
        *self = Self::new(self.window, now);
        holds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a response with a piece of `bytes` bytes every `millis` milliseconds is given up within five minutes.
    fn fails(bytes: usize, millis: u64) -> bool {
        let start = Instant::now();
        let mut pace = Pace::new(Duration::from_mins(1), start);
        let times = (0..300_000 / millis).map(|n| start + Duration::from_millis((n + 1) * millis));
        times.into_iter().any(|now| !pace.holds(bytes, now))
    }

    #[test]
    fn a_drip_is_too_slow_and_a_modem_is_not() {
        assert!(fails(1, 400) && fails(1, 1) && fails(16_384, 20_000));
        assert!(!fails(2000, 1000) && !fails(100_000, 50_000));
    }

    #[test]
    fn a_fast_start_does_not_excuse_a_drip() {
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let mut pace = Pace::new(Duration::from_mins(1), start);
        assert!(pace.holds(1 << 30, at(1)) && pace.holds(1, at(61)) && !pace.holds(1, at(122)));
    }
}
