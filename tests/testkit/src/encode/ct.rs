//! The integer layouts of compressed-tensors.

use super::grid::{Grid, transpose};
use super::{Encoded, GIdx, Group, ScaleDtype, Site};
use crate::bits;
use crate::safetensors::Dtype;

/// Parameters of `pack-quantized`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CtPacked {
    /// 2 to 8.
    pub bits: u32,
    /// Inputs per scale.
    pub group: Group,
    /// No zero points, and scales of both signs.
    pub sym: bool,
    /// A dense bit stream instead of whole codes per word with unused top bits. Matters only for 3, 5, 6 and 7 bits.
    pub dense: bool,
    /// Dtype of the scales.
    pub scale: ScaleDtype,
    /// Zero points as signed bytes instead of packed.
    pub zero_i8_unpacked: bool,
    /// The `weight_g_idx` tensor.
    pub g_idx: GIdx,
}

impl CtPacked {
    /// Symmetric, dense, BF16 scales, no group index.
    pub fn sym(bits: u32, group: usize) -> Self {
        Self {
            bits,
            group: Group::Size(group),
            sym: true,
            dense: true,
            scale: ScaleDtype::Bf16,
            zero_i8_unpacked: false,
            g_idx: GIdx::Absent,
        }
    }

    pub(super) fn encode(self, site: &mut Site<'_>) -> Encoded {
        let mut grid = Grid::random(site, self.bits, self.group, self.sym, self.scale, 0);
        if let GIdx::Shuffled(seed) = self.g_idx {
            crate::rng::Rng::named(seed, site.module).shuffle(&mut grid.group_of);
        }
        let (rows, cols, groups) = (grid.rows, grid.cols, grid.groups);
        let pack = if self.dense { bits::pack } else { bits::pack_whole };

        let words: Vec<u32> = grid.codes.chunks(cols).flat_map(|row| pack(row, self.bits)).collect();
        let shape: Vec<u8> = [rows, cols].iter().flat_map(|n| (*n as i64).to_le_bytes()).collect();
        let mut tensors = vec![
            site.tensor("weight_packed", Dtype::I32, &[rows, words.len() / rows], bits::bytes(&words)),
            site.tensor("weight_scale", self.scale.dtype(), &[rows, groups], self.scale.bytes(&grid.scales)),
            site.tensor("weight_shape", Dtype::I64, &[2], shape),
        ];
        if !self.sym && self.zero_i8_unpacked {
            let middle = 1i32 << (self.bits - 1);
            let zeros = grid.zeros.iter().map(|zero| (*zero as i32 - middle) as i8 as u8).collect();
            tensors.push(site.tensor("weight_zero_point", Dtype::I8, &[rows, groups], zeros));
        } else if !self.sym {
            let columns: Vec<Vec<u32>> = transpose(&grid.zeros, rows, groups)
                .chunks(rows)
                .map(|column| pack(column, self.bits))
                .collect();
            let height = columns[0].len();
            let words = transpose(&columns.concat(), groups, height);
            tensors.push(site.tensor(
                "weight_zero_point",
                Dtype::I32,
                &[height, groups],
                bits::bytes(&words),
            ));
        }
        if self.g_idx != GIdx::Absent {
            let zeros = self.g_idx == GIdx::Zeros;
            let index: Vec<u32> = grid.group_of.iter().map(|g| if zeros { 0 } else { *g as u32 }).collect();
            tensors.push(site.tensor("weight_g_idx", Dtype::I32, &[cols], bits::bytes(&index)));
        }
        Encoded { tensors, values: grid.values() }
    }
}

/// Parameters of `int-quantized`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CtInt8 {
    /// One scale of shape `[1]` instead of one per row of shape `[rows, 1]`.
    pub per_tensor: bool,
    /// Dtype of the scales.
    pub scale: ScaleDtype,
    /// Write `weight_zero_point`, with positive scales.
    pub zero_point: bool,
}

impl CtInt8 {
    pub(super) fn encode(self, site: &mut Site<'_>) -> Encoded {
        let mut grid = Grid::random(site, 8, Group::PerRow, !self.zero_point, self.scale, 0);
        let mut shape = vec![grid.rows, 1];
        if self.per_tensor {
            grid.scales = vec![grid.scales[0]; grid.rows];
            // Not the zero point of the first row, which is the lowest possible.
            grid.zeros = vec![*grid.zeros.last().expect("a Linear has rows"); grid.rows];
            shape = vec![1];
        }
        let count = shape[0];
        let signed = |codes: &[u32]| codes.iter().map(|code| (*code as i32 - 128) as i8 as u8).collect();
        let mut tensors = vec![
            site.tensor("weight", Dtype::I8, &[grid.rows, grid.cols], signed(&grid.codes)),
            site.tensor("weight_scale", self.scale.dtype(), &shape, self.scale.bytes(&grid.scales[..count])),
        ];
        if self.zero_point {
            tensors.push(site.tensor("weight_zero_point", Dtype::I8, &shape, signed(&grid.zeros[..count])));
        }
        Encoded { tensors, values: grid.values() }
    }
}
