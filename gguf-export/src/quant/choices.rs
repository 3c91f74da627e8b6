//! The caller's decisions about a quantization configuration.

/// Decisions about a quantization configuration that is incomplete, or that has unknown keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choices {
    /// Full names of keys that are ignored although they may change the weights.
    pub ignored_keys: Vec<String>,
    /// What happens to other keys.
    pub others: OtherKeys,
    /// How the zero points of GPTQ packing are stored, instead of the rule that the configuration states.
    pub zero_points: Option<ZeroPoints>,
}

/// What happens to keys that may change the weights and are not to be ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OtherKeys {
    /// They are refused, and so are names to ignore that none of them has.
    #[default]
    Refused,
    /// They are refused. A name to ignore may be understood meanwhile, as in a GGUF made by an older version.
    RefusedNow,
    /// They are accepted, and so is a configuration that does not state how zero points are stored: for a description
    /// that no weight is read for.
    Accepted,
}

/// How the zero points of asymmetric weights in GPTQ packing are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ZeroPoints {
    /// Less one: `gptq`, the first version of the format.
    V1,
    /// As they are: `gptq_v2`.
    V2,
}

impl ZeroPoints {
    /// The name, `v1` or `v2`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::V2 => "v2",
        }
    }
}
