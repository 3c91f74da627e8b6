//! What differs between families in the fields of `config.json` that all have.

/// How a family reads the fields that all have.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each is independent of the others")]
pub(super) struct Traits {
    /// `partial_rotary_factor` where the configuration has none.
    pub(super) rotated: f64,
    /// The field with the width of a head, or of the rotated part of it where the rest is stated apart.
    pub(super) head_dim: &'static str,
    /// True if heads are as wide as the model divided by their number, and every query head has a key head, where the
    /// configuration states neither.
    pub(super) heads_by_default: bool,
    /// True if `rope_theta` is 10,000 where the configuration has none.
    pub(super) base_by_default: bool,
    /// Whether the graph takes `rope.scaling.yarn_log_multiplier`.
    pub(super) yarn_multiplier: Multiplier,
    /// True if `truncate` of false is the family's own, and llama.cpp's rounding is known to be close to it.
    pub(super) yarn_exact_limits: bool,
    /// True if the graph takes biases of query, key and value.
    pub(super) attention_bias: bool,
    /// True if the graph takes divisors of the rotary frequencies.
    pub(super) rope_factors: bool,
}

impl Traits {
    /// Whole heads are rotated, and nothing is by default.
    pub(super) const PLAIN: Self = Self {
        rotated: 1.0,
        head_dim: "head_dim",
        heads_by_default: false,
        base_by_default: true,
        yarn_multiplier: Multiplier::Refused,
        yarn_exact_limits: false,
        rope_factors: false,
        attention_bias: false,
    };
}

/// Whether a graph scales attention by the logarithm of YaRN's factor, as `mscale` and `mscale_all_dim` state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Multiplier {
    /// No.
    Refused,
    /// Yes, if both are equal.
    Equal,
    /// Yes, if `mscale` is 1.
    One,
}
