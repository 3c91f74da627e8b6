//! The bounds of histograms: those of vLLM, so that its dashboards work.

/// Seconds to the first token.
pub(super) const TIME_TO_FIRST_TOKEN: [f64; 22] = [
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0,
    80.0, 160.0, 640.0, 2560.0,
];

/// Seconds of a whole request or a phase of it.
pub(super) const LATENCY: [f64; 21] = [
    0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 120.0, 240.0, 480.0,
    960.0, 1920.0, 7680.0,
];

/// Tokens of a prompt or an answer: 1, 2 and 5 times the powers of ten to a million, since the context is not known
/// before the model is loaded.
pub(super) fn tokens() -> Vec<f64> {
    let powers = [1.0, 10.0, 100.0, 1e3, 1e4, 1e5];
    powers.into_iter().flat_map(|power| [power, 2.0 * power, 5.0 * power]).chain([1e6]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_ascend() {
        for bounds in [TIME_TO_FIRST_TOKEN.to_vec(), LATENCY.to_vec(), tokens()] {
            assert!(bounds.is_sorted_by(|a, b| a < b), "{bounds:?}");
        }
        assert_eq!(tokens().len(), 19);
    }
}
