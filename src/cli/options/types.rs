//! Types of tensors as they are typed.

use clap::ValueEnum;
use gguf_export::ggml::GgmlType;

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum OutType {
    /// The smallest type that holds each tensor exactly
    Auto,
    F32,
    F16,
    Bf16,
    #[value(name = "q8_0")]
    Q8_0,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum FloatType {
    #[value(name = "q8_0")]
    Q8_0,
    Bf16,
    F16,
    F32,
}

/// The two versions of GPTQ packing, by the zero points that they store.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum ZeroPoints {
    /// Less one, as in `gptq`
    V1,
    /// As they are, as in `gptq_v2`
    V2,
}

impl From<ZeroPoints> for gguf_export::quant::ZeroPoints {
    fn from(zero_points: ZeroPoints) -> Self {
        match zero_points {
            ZeroPoints::V1 => Self::V1,
            ZeroPoints::V2 => Self::V2,
        }
    }
}

impl From<FloatType> for GgmlType {
    fn from(ty: FloatType) -> Self {
        match ty {
            FloatType::Q8_0 => Self::Q8_0,
            FloatType::Bf16 => Self::BF16,
            FloatType::F16 => Self::F16,
            FloatType::F32 => Self::F32,
        }
    }
}

impl From<OutType> for gguf_export::plan::OutType {
    fn from(ty: OutType) -> Self {
        match ty {
            OutType::Auto => Self::Auto,
            OutType::F32 => Self::Only(GgmlType::F32),
            OutType::F16 => Self::Only(GgmlType::F16),
            OutType::Bf16 => Self::Only(GgmlType::BF16),
            OutType::Q8_0 => Self::Only(GgmlType::Q8_0),
        }
    }
}
