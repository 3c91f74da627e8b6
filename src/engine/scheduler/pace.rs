//! The measured rate of a prefill, and how many tokens it allows in a step. Times come from commits.

use std::time::Duration;

use super::limits::PrefillBudget;

/// The time that a step with generating slots may take.
const TARGET: Duration = Duration::from_millis(200);
/// Tokens that are always allowed: fewer cost nearly as much, and a prefill must make progress.
const FLOOR: usize = 32;

/// The rate of the prefill so far.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pace {
    /// Prompt tokens per second, over whole steps: it includes the time that the other slots take in them.
    rate: Option<f64>,
}

impl Pace {
    /// Prompt tokens that a step with writing slots may read. Without a measurement there is no limit yet.
    pub(super) fn allowed(self, budget: PrefillBudget) -> usize {
        match budget {
            PrefillBudget::Unlimited => usize::MAX,
            PrefillBudget::Tokens(tokens) => tokens.max(1) as usize,
            PrefillBudget::Auto => {
                self.rate.map_or(usize::MAX, |rate| whole(rate * TARGET.as_secs_f64()).max(FLOOR))
            }
        }
    }

    /// Records a step that read prompt tokens. Steps with few tokens are ignored: their time is mostly the fixed cost
    /// of a step.
    pub(super) fn note(&mut self, tokens: usize, took: Duration) {
        if tokens < FLOOR || took.is_zero() {
            return;
        }
        let tokens = u32::try_from(tokens).unwrap_or(u32::MAX);
        let now = f64::from(tokens) / took.as_secs_f64();
        self.rate = Some(self.rate.map_or(now, |rate| f64::midpoint(rate, now)));
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive, and a cast saturates")]
fn whole(tokens: f64) -> usize {
    tokens as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fifth_of_a_second_is_allowed_and_never_less_than_the_floor() {
        let mut pace = Pace::default();
        assert_eq!(pace.allowed(PrefillBudget::Auto), usize::MAX);
        pace.note(512, Duration::from_secs(1));
        assert_eq!(pace.allowed(PrefillBudget::Auto), 102);
        pace.note(FLOOR, Duration::from_secs(100));
        pace.note(FLOOR, Duration::from_secs(100));
        pace.note(FLOOR, Duration::from_secs(100));
        assert_eq!(pace.allowed(PrefillBudget::Auto), FLOOR);
        assert_eq!(pace.allowed(PrefillBudget::Tokens(7)), 7);
        assert_eq!(pace.allowed(PrefillBudget::Tokens(0)), 1);
        assert_eq!(pace.allowed(PrefillBudget::Unlimited), usize::MAX);
    }

    #[test]
    fn the_last_tokens_of_a_prompt_and_steps_without_a_time_are_no_measurement() {
        let mut pace = Pace::default();
        pace.note(512, Duration::from_secs(1));
        pace.note(3, Duration::from_secs(1));
        pace.note(512, Duration::ZERO);
        assert_eq!(pace.allowed(PrefillBudget::Auto), 102);
    }
}
