//! Log probabilities from the model's own logits.

use crate::engine::{LogSoftmax, Token, TokenLogprob};

/// The token's log probability, and those of the `count` most likely tokens; among equals, the first.
pub(super) fn token_logprob(logits: &[f32], token: Token, count: u32) -> TokenLogprob {
    let softmax = LogSoftmax::of(logits);
    let logprob = |logit: f32| softmax.map_or(f32::NAN, |softmax| softmax.logprob(logit));
    let chosen = usize::try_from(token.0).ok().and_then(|at| logits.get(at));
    let top = top(logits, count as usize).into_iter().map(|(token, logit)| (token, logprob(logit)));
    TokenLogprob {
        token,
        logprob: chosen.map_or(f32::NEG_INFINITY, |&logit| logprob(logit)),
        top: top.collect(),
    }
}

fn top(logits: &[f32], count: usize) -> Vec<(Token, f32)> {
    let mut best: Vec<(Token, f32)> = Vec::with_capacity(count + 1);
    for (token, &logit) in (0i32..).zip(logits) {
        if best.len() == count && best.last().is_none_or(|&(_, least)| logit <= least) {
            continue;
        }
        let place = best.partition_point(|&(_, other)| other >= logit);
        best.insert(place, (Token(token), logit));
        best.truncate(count);
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn probabilities_are_those_of_the_softmax() {
        let logits = [2.0f32.ln(), 5.0f32.ln(), 0.0, 2.0f32.ln()];
        let found = token_logprob(&logits, Token(2), 3);
        assert!((found.logprob.exp() - 0.1).abs() < 1e-6, "{found:?}");
        let top: Vec<(i32, f32)> =
            found.top.iter().map(|(token, logprob)| (token.0, (logprob.exp() * 100.0).round())).collect();
        assert_eq!(top, [(1, 50.0), (0, 20.0), (3, 20.0)]);
        assert_eq!(token_logprob(&logits, Token(0), 0).top, []);
    }

    proptest! {
        #[test]
        fn the_most_likely_tokens_are_those_of_a_sort(
            logits in prop::collection::vec(-20f32..20.0, 1..80), count in 0u32..20,
        ) {
            let mut sorted: Vec<(i32, f32)> = (0..).zip(logits.iter().copied()).collect();
            sorted.sort_by(|a, b| b.1.total_cmp(&a.1));
            sorted.truncate(count as usize);
            let found = token_logprob(&logits, Token(0), count).top;
            prop_assert_eq!(found.iter().map(|t| t.0.0).collect::<Vec<_>>(), sorted.iter().map(|t| t.0).collect::<Vec<_>>());
            let all = token_logprob(&logits, Token(0), 80).top;
            let sum: f64 = all.iter().map(|(_, logprob)| f64::from(*logprob).exp()).sum();
            prop_assert!((sum - 1.0).abs() < 1e-5, "{}", sum);
        }
    }
}
