//! Dtypes of scales.

use half::{bf16, f16};

use super::plain;
use crate::safetensors::Dtype;

/// Dtype of a scale, and the precision of its values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ScaleDtype {
    /// F16.
    #[default]
    F16,
    /// BF16, in a range that F16 holds exactly, too.
    Bf16,
    /// F32 with a value that F16 holds exactly.
    F32,
    /// F32 with the lowest bit set, so that no shorter type holds it.
    F32Full,
    /// Powers of two in a byte: the exponent plus 127. FP8 blocks only.
    E8m0,
}

impl ScaleDtype {
    /// The dtype in the file.
    pub fn dtype(self) -> Dtype {
        match self {
            Self::F16 => Dtype::F16,
            Self::Bf16 => Dtype::Bf16,
            Self::F32 | Self::F32Full => Dtype::F32,
            Self::E8m0 => Dtype::F8E8m0,
        }
    }

    /// The nearest scale.
    pub fn round(self, value: f64) -> f64 {
        match self {
            Self::F16 | Self::F32 => f16::from_f64(value).to_f64(),
            Self::Bf16 => bf16::from_f64(value).to_f64(),
            Self::F32Full => f64::from(f32::from_bits((value as f32).to_bits() | 1)),
            Self::E8m0 => 2f64.powi(value.log2().round() as i32),
        }
    }

    /// The stored bytes of scales rounded by [`ScaleDtype::round`].
    pub fn bytes(self, scales: &[f64]) -> Vec<u8> {
        match self {
            Self::E8m0 => scales.iter().map(|scale| (scale.log2() as i32 + 127) as u8).collect(),
            _ => plain(self.dtype(), scales).0,
        }
    }
}
