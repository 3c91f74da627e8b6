//! The GPTQ layout: `qweight` packed along inputs, `qzeros` along outputs, all transposed.

use super::grid::{Grid, transpose};
use super::{Encoded, Group, ScaleDtype, Site};
use crate::bits;
use crate::safetensors::Dtype;

/// The code in `qzeros` for a zero point `z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoredZero {
    /// `z`.
    Direct,
    /// `z - 1`. If the width divides 32, no asymmetric zero point of 0 is generated, since this convention cannot
    /// represent it; for 5, 6 and 7 bits its code is all ones, without a borrow.
    MinusOne,
    /// `z - 1`, subtracted from whole words: a zero point of 0 borrows from the next code.
    MinusOneBorrow,
    /// `z - 1`, at least 0: a zero point of 0 becomes 1.
    MinusOneClamped,
}

/// The `g_idx` tensor, the group of each input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GIdx {
    /// No `g_idx`.
    Absent,
    /// `g_idx[i] = i / group`.
    Trivial,
    /// A random permutation, as by act-order, from this seed.
    Shuffled(u64),
    /// All zeros; inputs are grouped as in `Trivial`.
    Zeros,
}

/// Parameters of the GPTQ layout.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gptq {
    /// 2 to 8.
    pub bits: u32,
    /// Inputs per scale.
    pub group: Group,
    /// All zero points in the middle, and scales of both signs.
    pub sym: bool,
    /// Convention of stored zero points.
    pub zero: StoredZero,
    /// The `g_idx` tensor.
    pub g_idx: GIdx,
    /// Dtype of the scales.
    pub scale: ScaleDtype,
    /// Pad the last group: `qweight` has rows without an input.
    pub padded: bool,
}

impl Gptq {
    /// A symmetric scheme as written by current versions.
    pub fn sym(bits: u32, group: usize) -> Self {
        Self {
            bits,
            group: Group::Size(group),
            sym: true,
            zero: StoredZero::MinusOne,
            g_idx: GIdx::Absent,
            scale: ScaleDtype::F16,
            padded: false,
        }
    }

    /// An asymmetric scheme, with zero points stored directly.
    pub fn asym(bits: u32, group: usize) -> Self {
        Self { sym: false, zero: StoredZero::Direct, ..Self::sym(bits, group) }
    }

    pub(super) fn encode(self, site: &mut Site<'_>) -> Encoded {
        let lowest = u32::from(self.zero == StoredZero::MinusOne && 32 % self.bits == 0);
        let mut grid = Grid::random(site, self.bits, self.group, self.sym, self.scale, lowest);
        if let GIdx::Shuffled(seed) = self.g_idx {
            crate::rng::Rng::named(seed, site.module).shuffle(&mut grid.group_of);
        }
        if self.zero == StoredZero::MinusOneClamped {
            grid.zeros.iter_mut().for_each(|zero| *zero = (*zero).max(1));
        }
        let (rows, cols, groups) = (grid.rows, grid.cols, grid.groups);
        let [qweight, qzeros, scales] = shapes(self, rows, cols);

        // Padding gets arbitrary codes, since nothing may depend on them.
        let padded = qweight[0] * 32 / self.bits as usize;
        let columns: Vec<Vec<u32>> = (0..rows)
            .map(|row| {
                let mut stream = grid.codes[row * cols..(row + 1) * cols].to_vec();
                stream.resize_with(padded.max(cols), || site.rng.below(1 << self.bits) as u32);
                bits::pack(&stream, self.bits)
            })
            .collect();
        let words = transpose(&columns.concat(), rows, qweight[0]);

        let zeros = transpose(&grid.zeros, rows, groups);
        let zero_words: Vec<u32> = zeros.chunks(rows).flat_map(|row| self.pack_zeros(row)).collect();

        let mut tensors = vec![
            site.tensor("qweight", Dtype::I32, &qweight, bits::bytes(&words)),
            site.tensor("qzeros", Dtype::I32, &qzeros, bits::bytes(&zero_words)),
            site.tensor(
                "scales",
                self.scale.dtype(),
                &scales,
                self.scale.bytes(&transpose(&grid.scales, rows, groups)),
            ),
        ];
        if self.g_idx != GIdx::Absent {
            let zeros = self.g_idx == GIdx::Zeros;
            let index: Vec<u32> = grid.group_of.iter().map(|g| if zeros { 0 } else { *g as u32 }).collect();
            tensors.push(site.tensor("g_idx", Dtype::I32, &[cols], bits::bytes(&index)));
        }
        Encoded { tensors, values: grid.values() }
    }

    /// One row of `qzeros`: the zero points of one group for all outputs.
    fn pack_zeros(self, zeros: &[u32]) -> Vec<u32> {
        let mask = (1 << self.bits) - 1;
        match self.zero {
            StoredZero::Direct => bits::pack(zeros, self.bits),
            StoredZero::MinusOne | StoredZero::MinusOneClamped => {
                let codes: Vec<u32> = zeros.iter().map(|zero| zero.wrapping_sub(1) & mask).collect();
                bits::pack(&codes, self.bits)
            }
            StoredZero::MinusOneBorrow => {
                let mut words = bits::pack(zeros, self.bits);
                bits::subtract_ones(&mut words, zeros.len(), self.bits);
                words
            }
        }
    }
}

/// The shapes of `qweight`, `qzeros` and `scales` for a Linear of `rows` outputs and `cols` inputs.
pub fn shapes(gptq: Gptq, rows: usize, cols: usize) -> [[usize; 2]; 3] {
    let groups = cols.div_ceil(gptq.group.size(cols));
    let words = |codes: usize| (codes * gptq.bits as usize).div_ceil(32);
    [[words(padded_inputs(gptq, cols)), rows], [groups, words(rows)], [groups, rows]]
}

/// Number of inputs in `qweight`, padding included.
pub fn padded_inputs(gptq: Gptq, cols: usize) -> usize {
    if gptq.padded { cols.next_multiple_of(gptq.group.size(cols)) } else { cols }
}
