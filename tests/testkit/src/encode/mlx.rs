//! The MLX layout: packed along inputs, row by row, with a bias instead of a zero point.

use half::f16;

use super::grid::Grid;
use super::{Encoded, Group, ScaleDtype, Site};
use crate::bits;
use crate::safetensors::Dtype;

/// Parameters of the MLX layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mlx {
    /// 2, 4 or 8.
    pub bits: u32,
    /// Inputs per scale.
    pub group: Group,
}

impl Mlx {
    pub(super) fn encode(self, site: &mut Site<'_>) -> Encoded {
        assert!(32 % self.bits == 0, "the packing of {} bits is undocumented", self.bits);
        let grid = Grid::random(site, self.bits, self.group, false, ScaleDtype::F16, 0);
        let (rows, cols, groups) = (grid.rows, grid.cols, grid.groups);
        let biases: Vec<f64> = grid
            .scales
            .iter()
            .zip(&grid.zeros)
            .map(|(s, z)| f16::from_f64(-s * f64::from(*z)).to_f64())
            .collect();
        let words: Vec<u32> = grid.codes.chunks(cols).flat_map(|row| bits::pack(row, self.bits)).collect();
        let mut values = Vec::with_capacity(rows * cols);
        for row in 0..rows {
            for col in 0..cols {
                let at = row * groups + grid.group_of[col];
                values.push((grid.scales[at] * f64::from(grid.codes[row * cols + col]) + biases[at]) as f32);
            }
        }
        let f16 = ScaleDtype::F16;
        let tensors = vec![
            site.tensor("weight", Dtype::U32, &[rows, words.len() / rows], bits::bytes(&words)),
            site.tensor("scales", Dtype::F16, &[rows, groups], f16.bytes(&grid.scales)),
            site.tensor("biases", Dtype::F16, &[rows, groups], f16.bytes(&biases)),
        ];
        Encoded { tensors, values }
    }
}
