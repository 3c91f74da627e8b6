//! Eight-bit floats with float scales.

use super::{Encoded, ScaleDtype, Site};
use crate::float::{e4m3, e5m2};
use crate::safetensors::Dtype;

/// The weights that share a scale, and the shape of the scales.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fp8Scale {
    /// One for the tensor, shape `[1]`.
    Tensor,
    /// One per row, shape `[rows]`.
    Channel,
    /// One per row, shape `[rows, 1]`.
    ChannelColumn,
    /// One per group of this many inputs, flat and row-major.
    Group(usize),
    /// One per block of rows and inputs; blocks at the edges are smaller.
    Block(usize, usize),
}

/// Parameters of an eight-bit float weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fp8 {
    /// The weights that share a scale.
    pub scale: Fp8Scale,
    /// E5M2 instead of E4M3.
    pub e5m2: bool,
    /// Dtype of the scales.
    pub scale_dtype: ScaleDtype,
    /// Name the scales `weight_scale_inv`; they are factors nevertheless.
    pub inv_name: bool,
}

impl Fp8 {
    /// Blocks of 128 by 128 with BF16 scales.
    pub fn block() -> Self {
        Self { inv_name: true, ..Self::scaled(Fp8Scale::Block(128, 128)) }
    }

    /// E4M3 with BF16 scales named `weight_scale`.
    pub fn scaled(scale: Fp8Scale) -> Self {
        Self { scale, e5m2: false, scale_dtype: ScaleDtype::Bf16, inv_name: false }
    }

    /// Name of the format in configurations.
    pub fn fmt(self) -> &'static str {
        if self.e5m2 { "e5m2" } else { "e4m3" }
    }

    pub(super) fn encode(self, site: &mut Site<'_>) -> Encoded {
        let (rows, cols) = (site.rows, site.cols);
        let (block_rows, block_cols) = match self.scale {
            Fp8Scale::Tensor => (rows, cols),
            Fp8Scale::Channel | Fp8Scale::ChannelColumn => (1, cols),
            Fp8Scale::Group(size) => (1, size),
            Fp8Scale::Block(rows, cols) => (rows, cols),
        };
        let grid = (rows.div_ceil(block_rows), cols.div_ceil(block_cols));
        let (dtype, decode, largest): (_, fn(u8) -> f64, _) =
            if self.e5m2 { (Dtype::F8E5m2, e5m2, 57344.0) } else { (Dtype::F8E4m3, e4m3, 448.0) };
        let usual = site.reach() / largest;
        let scales: Vec<f64> = (0..grid.0 * grid.1)
            .map(|_| {
                let factor =
                    if site.extreme_scales { 2f64.powi(site.rng.below(24) as i32 - 12) } else { 1.0 };
                self.scale_dtype.round(usual * factor * site.rng.uniform(1.0, 2.0))
            })
            .collect();
        let codes = codes(site, rows * cols, decode);
        let values = (0..rows * cols)
            .map(|i| {
                let scale = scales[i / cols / block_rows * grid.1 + i % cols / block_cols];
                (scale * decode(codes[i])) as f32
            })
            .collect();
        let shape = match self.scale {
            Fp8Scale::Tensor => vec![1],
            Fp8Scale::Channel | Fp8Scale::Group(_) => vec![scales.len()],
            Fp8Scale::ChannelColumn | Fp8Scale::Block(..) => vec![grid.0, grid.1],
        };
        let name = if self.inv_name { "weight_scale_inv" } else { "weight_scale" };
        let tensors = vec![
            site.tensor("weight", dtype, &[rows, cols], codes),
            site.tensor(name, self.scale_dtype.dtype(), &shape, self.scale_dtype.bytes(&scales)),
        ];
        Encoded { tensors, values }
    }
}

/// Finite codes of an eight-bit float: all of them first, then random ones.
pub(super) fn codes(site: &mut Site<'_>, count: usize, decode: fn(u8) -> f64) -> Vec<u8> {
    let finite: Vec<u8> = (0..=255).filter(|code| decode(*code).is_finite()).collect();
    (0..count)
        .map(|i| match finite.get(i) {
            Some(code) => *code,
            None => finite[site.rng.below(finite.len())],
        })
        .collect()
}
