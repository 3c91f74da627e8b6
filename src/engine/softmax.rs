//! Log probabilities of logits.

/// Converts the logits of one position into log probabilities.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LogSoftmax {
    most: f32,
    log_sum: f64,
}

impl LogSoftmax {
    /// For all logits of a position; `None` if they are not finite.
    #[must_use]
    pub fn of(logits: &[f32]) -> Option<Self> {
        let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum: f64 = logits.iter().map(|&logit| f64::from(logit - most).exp()).sum();
        (sum.is_finite() && sum > 0.0).then(|| Self { most, log_sum: sum.ln() })
    }

    /// The natural logarithm of the probability of the token that has this logit.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "the logits have no more digits")]
    pub fn logprob(self, logit: f32) -> f32 {
        (f64::from(logit - self.most) - self.log_sum) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_add_up_to_one_and_logits_that_are_not_finite_have_none() {
        let logits = [2.0f32.ln(), 5.0f32.ln(), 0.0, 2.0f32.ln(), f32::NEG_INFINITY];
        let softmax = LogSoftmax::of(&logits).unwrap();
        let sum: f32 = logits.iter().map(|&logit| softmax.logprob(logit).exp()).sum();
        assert!((sum - 1.0).abs() < 1e-6 && (softmax.logprob(0.0).exp() - 0.1).abs() < 1e-6);
        for invalid in [&[][..], &[f32::NAN, 1.0], &[f32::NEG_INFINITY], &[f32::INFINITY, 1.0]] {
            assert_eq!(LogSoftmax::of(invalid), None, "{invalid:?}");
        }
    }
}
