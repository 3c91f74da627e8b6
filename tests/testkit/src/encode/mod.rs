//! Encodings of a Linear, one file per family, with the values that the stored bits represent.

mod awq;
mod ct;
mod fp8;
mod gptq;
mod grid;
mod mlx;
mod mx;
mod plain;
mod scale;

pub use awq::Awq;
pub use ct::{CtInt8, CtPacked};
pub use fp8::{Fp8, Fp8Scale};
pub use gptq::{GIdx, Gptq, StoredZero, padded_inputs, shapes as gptq_shapes};
pub use grid::Group;
pub use mlx::Mlx;
pub use mx::NvFp4;
pub use plain::plain;
pub use scale::ScaleDtype;

use crate::rng::Rng;
use crate::safetensors::{Dtype, Tensor};

/// The encoding of the Linears of one part of the model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Encoding {
    /// Plain BF16.
    Bf16,
    /// Plain F16.
    F16,
    /// Plain F32.
    F32,
    /// `qweight`, `qzeros`, `scales`, packed along the input axis.
    Gptq(Gptq),
    /// `qweight`, `qzeros`, `scales`, packed along the output axis and interleaved.
    Awq(Awq),
    /// Eight-bit floats with scales per tensor, row, group or block.
    Fp8(Fp8),
    /// E2M1 with an E8M0 scale per 32.
    MxFp4,
    /// E4M3 with an E8M0 scale per 32.
    MxFp8,
    /// A sign and three bits, with an E8M0 scale per 32.
    MxInt4,
    /// E2M1 with an E4M3 scale per 16 and a global F32 scale.
    NvFp4(NvFp4),
    /// E2M1 with an unsigned E5M3 scale per 16.
    NvFp4E5m3,
    /// compressed-tensors `pack-quantized`.
    CtPacked(CtPacked),
    /// compressed-tensors `int-quantized`, 8 bits.
    CtInt8(CtInt8),
    /// `weight`, `scales`, `biases` in MLX packing.
    Mlx(Mlx),
}

/// The exact values of one logical weight.
///
/// Each value is the product defined by the format, rounded once to F32. Compare with `==`: a code of zero times a
/// negative scale is -0.0 here.
#[derive(Clone, Debug, PartialEq)]
pub struct Weight {
    /// Shape as in the model, slowest dimension first.
    pub shape: Vec<usize>,
    /// The elements, row-major.
    pub values: Vec<f32>,
}

/// An encoded Linear: the stored tensors and the values that they represent.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// The stored tensors.
    pub tensors: Vec<Tensor>,
    /// The values `[rows, cols]`, row-major.
    pub values: Vec<f32>,
}

/// A Linear to generate.
#[derive(Debug)]
pub struct Site<'a> {
    /// Module name; tensors are named `<module>.<suffix>`.
    pub module: &'a str,
    /// Outputs.
    pub rows: usize,
    /// Inputs.
    pub cols: usize,
    /// Source of scales and codes.
    pub rng: Rng,
    /// Use the whole range of the scale format instead of realistic scales.
    pub extreme_scales: bool,
}

impl Site<'_> {
    fn tensor(&self, suffix: &str, dtype: Dtype, shape: &[usize], data: Vec<u8>) -> Tensor {
        Tensor::new(format!("{}.{suffix}", self.module), dtype, shape, data)
    }

    /// Largest magnitude of a weight that keeps activations near one.
    fn reach(&self) -> f64 {
        1.7 / (self.cols as f64).sqrt()
    }
}

impl Encoding {
    /// Returns true for a plain float tensor `<module>.weight`.
    pub fn is_plain(self) -> bool {
        matches!(self, Self::Bf16 | Self::F16 | Self::F32)
    }

    /// Generates a Linear.
    pub fn encode(self, mut site: Site<'_>) -> Encoded {
        let site = &mut site;
        match self {
            Self::Bf16 => plain_linear(site, Dtype::Bf16),
            Self::F16 => plain_linear(site, Dtype::F16),
            Self::F32 => plain_linear(site, Dtype::F32),
            Self::Gptq(gptq) => gptq.encode(site),
            Self::Awq(awq) => awq.encode(site),
            Self::Fp8(fp8) => fp8.encode(site),
            Self::MxFp4 => mx::mxfp4(site),
            Self::MxFp8 => mx::mxfp8(site),
            Self::MxInt4 => mx::mxint4(site),
            Self::NvFp4(nvfp4) => nvfp4.encode(site),
            Self::NvFp4E5m3 => mx::nvfp4_e5m3(site),
            Self::CtPacked(packed) => packed.encode(site),
            Self::CtInt8(int8) => int8.encode(site),
            Self::Mlx(mlx) => mlx.encode(site),
        }
    }
}

fn plain_linear(site: &mut Site<'_>, dtype: Dtype) -> Encoded {
    let reach = site.reach();
    let values: Vec<f64> = (0..site.rows * site.cols).map(|_| site.rng.uniform(-reach, reach)).collect();
    let (data, values) = plain(dtype, &values);
    Encoded { tensors: vec![site.tensor("weight", dtype, &[site.rows, site.cols], data)], values }
}

#[cfg(test)]
mod tests;
