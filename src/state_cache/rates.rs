//! Measured speeds, and what they decide: a copy that would stall the engine for too long is not made, and a state is
//! restored only if reading it is faster than reading its tokens.

use std::time::Duration;

/// The longest time for which a copy may stall the engine.
const COPY: Duration = Duration::from_secs(1);
/// Tokens that a state must save to be restored.
pub(super) const RESTORED: usize = 512;
/// Samples below these say little about a rate.
const FEW_BYTES: u64 = 64 << 10;
const FEW_TOKENS: u64 = 64;

/// Measured speeds, in units per second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rates {
    /// Bytes of a file that are read and checked.
    read: Rate,
    /// Bytes that the engine copies out.
    copy: Rate,
    /// Tokens of prompts that are read.
    prefill: Rate,
}

/// A speed: a guess until it is measured, then a moving average.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Rate {
    per_second: f64,
    is_measured: bool,
}

impl Default for Rates {
    /// Cautious guesses: a slow disk and a slow copy, beside a processor that reads prompts fast.
    fn default() -> Self {
        let guess = |per_second| Rate { per_second, is_measured: false };
        Self { read: guess(200e6), copy: guess(1e9), prefill: guess(1000.0) }
    }
}

impl Rates {
    pub(super) fn note_read(&mut self, bytes: u64, time: Duration) {
        self.read.note(bytes, FEW_BYTES, time);
    }

    pub(super) fn note_copy(&mut self, bytes: u64, time: Duration) {
        self.copy.note(bytes, FEW_BYTES, time);
    }

    pub(super) fn note_prefill(&mut self, tokens: u64, time: Duration) {
        self.prefill.note(tokens, FEW_TOKENS, time);
    }

    /// Whether a copy of this size stalls the engine only shortly.
    pub(super) fn is_short_copy(&self, bytes: u64) -> bool {
        self.copy.seconds(bytes) < COPY.as_secs_f64()
    }

    /// Whether a state that holds `held` tokens of a prompt, of which `cached` are in the cache, is worth its bytes.
    pub(super) fn is_worth_restoring(&self, held: usize, cached: usize, bytes: u64) -> bool {
        let saved = held.saturating_sub(cached);
        let faster = self.read.seconds(bytes) + self.copy.seconds(bytes) < self.prefill.seconds(saved as u64);
        saved >= RESTORED && faster
    }
}

impl Rate {
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    fn note(&mut self, amount: u64, few: u64, time: Duration) {
        if amount < few || time.is_zero() {
            return;
        }
        let measured = amount as f64 / time.as_secs_f64();
        self.per_second = if self.is_measured { f64::midpoint(self.per_second, measured) } else { measured };
        self.is_measured = true;
    }

    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    fn seconds(&self, amount: u64) -> f64 {
        amount as f64 / self.per_second
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_state_is_restored_if_it_saves_512_tokens_and_time() {
        let mut rates = Rates::default();
        rates.note_read(100 << 20, SECOND);
        rates.note_copy(1 << 30, SECOND);
        rates.note_prefill(100, SECOND);
        assert!(rates.is_worth_restoring(612, 100, 1 << 20));
        assert!(!rates.is_worth_restoring(611, 100, 1 << 20));
        // 1000 tokens take ten seconds, 2 GiB take more.
        assert!(rates.is_worth_restoring(1000, 0, 800 << 20));
        assert!(!rates.is_worth_restoring(1000, 0, 2 << 30));
    }

    #[test]
    fn a_copy_is_made_if_it_takes_less_than_a_second_at_the_measured_rate() {
        let mut rates = Rates::default();
        rates.note_copy(1 << 20, SECOND);
        assert!(rates.is_short_copy((1 << 20) - 1) && !rates.is_short_copy(1 << 20));
        rates.note_copy(3 << 20, SECOND);
        assert!(rates.is_short_copy((2 << 20) - 1) && !rates.is_short_copy(2 << 20));
        let before = rates;
        rates.note_copy(FEW_BYTES - 1, SECOND);
        rates.note_copy(1 << 30, Duration::ZERO);
        assert_eq!(rates, before);
    }

    proptest! {
        #[test]
        fn a_longer_or_smaller_state_is_never_worth_less(
            held in 0usize..100_000, more in 0usize..1000, cached in 0usize..100_000,
            bytes in 0u64..1 << 34, fewer in 0u64..1 << 34,
            read in (1u64..1 << 34, 1u64..1000), prefill in (1u64..10_000, 1u64..1000),
        ) {
            let mut rates = Rates::default();
            rates.note_read(read.0, Duration::from_millis(read.1));
            rates.note_prefill(prefill.0, Duration::from_millis(prefill.1));
            if rates.is_worth_restoring(held, cached, bytes) {
                prop_assert!(held >= cached + RESTORED);
                prop_assert!(rates.is_worth_restoring(held + more, cached, bytes.min(fewer)));
            }
        }
    }
}
