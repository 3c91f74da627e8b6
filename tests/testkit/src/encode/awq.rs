//! The AWQ GEMM layout: packed along outputs, with each run of eight outputs interleaved.

use super::grid::{Grid, transpose};
use super::{Encoded, Group, ScaleDtype, Site};
use crate::bits;
use crate::safetensors::Dtype;

/// Code `n` of eight belongs to output `ORDER[n]`.
const ORDER: [usize; 8] = [0, 2, 4, 6, 1, 3, 5, 7];

/// Parameters of the AWQ layout.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Awq {
    /// 4 to 7.
    pub bits: u32,
    /// Inputs per scale; must divide the number of inputs.
    pub group: Group,
    /// All zero points in the middle, and scales of both signs.
    pub sym: bool,
    /// Dtype of the scales.
    pub scale: ScaleDtype,
}

impl Awq {
    /// The usual scheme: asymmetric, with F16 scales.
    pub fn asym(bits: u32, group: usize) -> Self {
        Self { bits, group: Group::Size(group), sym: false, scale: ScaleDtype::F16 }
    }

    pub(super) fn encode(self, site: &mut Site<'_>) -> Encoded {
        let grid = Grid::random(site, self.bits, self.group, self.sym, self.scale, 0);
        let (rows, cols, groups) = (grid.rows, grid.cols, grid.groups);
        let lanes = if self.bits == 4 { 8 } else { 32 };
        assert!(rows % lanes == 0, "`{}`: AWQ packs {lanes} outputs together, not {rows}", site.module);
        assert!(cols % self.group.size(cols) == 0, "`{}`: AWQ has no short groups", site.module);

        let pack = |items: &[u32], lines: usize| {
            let lines_of_outputs = transpose(items, rows, lines);
            let words: Vec<u32> = lines_of_outputs
                .chunks(rows)
                .flat_map(|line| bits::pack(&interleave(line), self.bits))
                .collect();
            bits::bytes(&words)
        };
        let words = rows * self.bits as usize / 32;
        let tensors = vec![
            site.tensor("qweight", Dtype::I32, &[cols, words], pack(&grid.codes, cols)),
            site.tensor("qzeros", Dtype::I32, &[groups, words], pack(&grid.zeros, groups)),
            site.tensor(
                "scales",
                self.scale.dtype(),
                &[groups, rows],
                self.scale.bytes(&transpose(&grid.scales, rows, groups)),
            ),
        ];
        Encoded { tensors, values: grid.values() }
    }
}

fn interleave(outputs: &[u32]) -> Vec<u32> {
    outputs.chunks(8).flat_map(|eight| ORDER.map(|output| eight[output])).collect()
}
