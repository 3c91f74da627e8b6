//! What differs between families in the fields of `config.json` that all have.

/// How a family reads the fields that all have.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each is independent of the others")]
pub(super) struct Traits {
    /// `partial_rotary_factor` where the configuration has none.
    pub(super) rotated: f64,
    /// True if heads are as wide as the model divided by their number, and every query head has a key head, where the
    /// configuration states neither.
    pub(super) heads_by_default: bool,
    /// True if the graph takes `rope.scaling.yarn_log_multiplier`.
    pub(super) yarn_multiplier: bool,
    /// True if the graph takes biases of query, key and value.
    pub(super) attention_bias: bool,
    /// True if the graph takes divisors of the rotary frequencies.
    pub(super) rope_factors: bool,
}

impl Traits {
    /// Whole heads are rotated, and nothing is by default.
    pub(super) const PLAIN: Self = Self {
        rotated: 1.0,
        heads_by_default: false,
        yarn_multiplier: false,
        rope_factors: false,
        attention_bias: false,
    };
}
