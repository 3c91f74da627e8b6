//! What a configuration declares about a module.

use super::ZeroRule;

/// The declarations of a quantization configuration about one module, as far as values depend on them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Declared {
    /// Bits per weight; 16 and more for a module that is not quantized.
    pub bits: Option<u64>,
    /// Columns per group; -1 for a whole row, 0 for the whole tensor.
    pub group: Option<i64>,
    /// Rows and columns of a block that shares a scale.
    pub block: Option<(u64, u64)>,
    /// True if all zero points are `2^(bits - 1)`.
    pub sym: Option<bool>,
    /// How the zero points of GPTQ packing are stored.
    pub zeros: Option<ZeroRule>,
    /// True if four-bit elements with a scale per group are a sign and a magnitude instead of E2M1.
    pub mx_int: bool,
    /// True if the declarations clearly apply to the module. Block lists and overrides of real files omit the MTP layer.
    pub binding: bool,
}
