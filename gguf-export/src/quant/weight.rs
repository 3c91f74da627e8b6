//! A weight matrix as the checkpoint stores it, with every question about its layout answered.

use std::collections::BTreeSet;

use crate::checkpoint::{Checkpoint, TensorId};

/// A logical matrix `[rows, columns]`; `rows` are outputs, `columns` inputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weight {
    /// Outputs; leading dimensions of three-dimensional tensors are counted in.
    pub rows: u64,
    /// Inputs.
    pub columns: u64,
    /// How the values are stored.
    pub coding: Coding,
}

/// How the values of a weight are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Coding {
    /// Floats as they are.
    Plain {
        /// The matrix.
        values: TensorId,
        /// Its type.
        dtype: Float,
    },
    /// Integer codes, a scale and a zero point a group: `scale * (code - zero)`.
    Int(Int),
    /// Integer codes, a scale and a bias a group: `scale * code + bias`, rounded once to F32.
    Affine(Affine),
    /// Eight-bit floats with a scale a block: `value * scale`.
    Fp8(Fp8),
    /// Small floats or integers with a one-byte scale a group.
    Micro(Micro),
}

/// A plain floating-point type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the documentation")]
pub enum Float {
    F16,
    BF16,
    F32,
}

impl Float {
    /// Bytes of one value.
    #[must_use]
    pub fn bytes(self) -> u64 {
        match self {
            Self::F16 | Self::BF16 => 2,
            Self::F32 => 4,
        }
    }
}

/// Integer codes of 2 to 8 bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Int {
    /// Bits of one code.
    pub bits: u32,
    /// The codes.
    pub codes: TensorId,
    /// How the codes lie in their tensor.
    pub packing: Packing,
    /// The scales.
    pub scales: Scales,
    /// Columns that share a scale; the last group may be shorter.
    pub group: u64,
    /// Groups of a row.
    pub groups: u64,
    /// The zero points.
    pub zero: Zero,
    /// Group of each column, `I32 [columns]`, where it is not `column / group`.
    pub g_idx: Option<TensorId>,
}

/// Integer codes of 2, 4 or 8 bits with a bias instead of a zero point: MLX's packing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Affine {
    /// Bits of one code.
    pub bits: u32,
    /// `U32 [rows, columns * bits / 32]`: the stream of one output runs along a row.
    pub codes: TensorId,
    /// `[rows, groups]`, and its type.
    pub scales: (TensorId, Float),
    /// `[rows, groups]`, and its type.
    pub biases: (TensorId, Float),
    /// Columns that share a scale and a bias; the last group may be shorter.
    pub group: u64,
    /// Groups of a row.
    pub groups: u64,
}

/// How integer codes lie in their tensor. A stream is a bit string, low bits first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// `I32 [words, rows]`: the stream of one output runs down a column.
    Gptq,
    /// `I32 [columns, rows * bits / 32]`: streams along the outputs, eight of them interleaved.
    Awq,
    /// `I32 [rows, words]`: the stream of one output runs along a row.
    RowMajor {
        /// Codes in a word where its top bits are unused; `None` for a dense stream.
        per_word: Option<u32>,
    },
    /// `I8 [rows, columns]`: two's complement.
    Bytes,
}

/// A tensor of scales.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scales {
    /// The tensor.
    pub tensor: TensorId,
    /// Its type.
    pub dtype: Float,
    /// Which index runs fastest.
    pub order: ScaleOrder,
}

/// Which index of a scale tensor runs fastest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScaleOrder {
    /// `[groups, rows]`.
    GroupMajor,
    /// `[rows, groups]`.
    RowMajor,
}

/// Where zero points come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Zero {
    /// `2^(bits - 1)` everywhere. The stored tensor, if any, must say so, in either convention.
    Middle {
        /// The stored zero points.
        stored: Option<TensorId>,
    },
    /// Stored for every group and row.
    Stored {
        /// The zero points.
        tensor: TensorId,
        /// How to read them.
        rule: ZeroRule,
    },
}

/// How stored zero points are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ZeroRule {
    /// `I32 [groups, rows * bits / 32]`, a stream along the outputs, the zero itself.
    Direct,
    /// The same, the zero less one. Packers that sum let the borrow of a zero of 0 run into the next code of
    /// the word, so one is added to the words, not to the codes.
    MinusOne,
    /// The same as `Direct`, eight outputs interleaved as AWQ does.
    Awq,
    /// `I32 [rows * bits / 32, groups]`, a stream down the outputs, the zero itself.
    DownRows {
        /// Codes in a word where its top bits are unused; `None` for a dense stream.
        per_word: Option<u32>,
    },
    /// `I8 [rows, groups]`: the zero less `2^(bits - 1)`.
    Bytes,
}

/// Eight-bit floats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fp8 {
    /// `[rows, columns]`.
    pub codes: TensorId,
    /// Their format.
    pub format: Fp8Format,
    /// The scale tensor and its type.
    pub scale: (TensorId, Float),
    /// Rows and columns of a block that shares a scale; blocks at the edge are smaller. Scales lie block row by
    /// block row.
    pub block: (u64, u64),
}

/// An eight-bit float format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fp8Format {
    /// Four exponent bits, no infinities, largest value 448.
    E4M3,
    /// Five exponent bits, largest value 57344.
    E5M2,
}

/// Microscaled elements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Micro {
    /// The elements; four-bit ones two a byte, low nibble first.
    pub codes: TensorId,
    /// Their format.
    pub element: Element,
    /// One byte a group, `[rows, columns / group]`.
    pub scales: TensorId,
    /// The format of that byte.
    pub scale: MicroScale,
    /// Columns of a group.
    pub group: u64,
    /// A scale for the whole tensor.
    pub global: Global,
}

/// Format of a microscaled element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Element {
    /// E2M1: 0, 0.5, 1, 1.5, 2, 3, 4, 6 and a sign bit.
    Fp4,
    /// A sign bit and a magnitude of 0 to 7 quarters.
    Int4,
    /// E4M3.
    Fp8,
}

/// Format of a group's one-byte scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MicroScale {
    /// `2^(byte - 127)`.
    E8M0,
    /// E4M3.
    E4M3,
    /// Five exponent and three mantissa bits, no sign.
    E5M3,
}

/// A scale for a whole microscaled tensor, `F32 [1]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Global {
    /// There is none.
    None,
    /// Values are divided by it.
    Divide(TensorId),
    /// Values are multiplied by it.
    Multiply(TensorId),
}

impl Weight {
    /// The tensor that holds the codes or values.
    #[must_use]
    pub fn main(&self) -> TensorId {
        match &self.coding {
            Coding::Plain { values, .. } => *values,
            Coding::Int(int) => int.codes,
            Coding::Affine(affine) => affine.codes,
            Coding::Fp8(fp8) => fp8.codes,
            Coding::Micro(micro) => micro.codes,
        }
    }

    /// The shards that it reads, as [`Checkpoint::shards`] counts them.
    #[must_use]
    pub fn shards(&self, checkpoint: &Checkpoint) -> BTreeSet<usize> {
        self.tensors().into_iter().map(|id| checkpoint.shard_of(id)).collect()
    }

    /// Every tensor it reads.
    #[must_use]
    pub fn tensors(&self) -> Vec<TensorId> {
        match &self.coding {
            Coding::Plain { values, .. } => vec![*values],
            Coding::Int(int) => {
                let zero = match int.zero {
                    Zero::Middle { stored } => stored,
                    Zero::Stored { tensor, .. } => Some(tensor),
                };
                [Some(int.codes), Some(int.scales.tensor), zero, int.g_idx].into_iter().flatten().collect()
            }
            Coding::Affine(affine) => vec![affine.codes, affine.scales.0, affine.biases.0],
            Coding::Fp8(fp8) => vec![fp8.codes, fp8.scale.0],
            Coding::Micro(micro) => {
                let mut all = vec![micro.codes, micro.scales];
                match micro.global {
                    Global::None => {}
                    Global::Divide(t) | Global::Multiply(t) => all.push(t),
                }
                all
            }
        }
    }

    /// A few words for people: `int4 sym group 128`.
    #[must_use]
    pub fn describe(&self) -> String {
        match &self.coding {
            Coding::Plain { dtype, .. } => format!("{dtype:?}"),
            Coding::Int(int) => {
                let kind = if matches!(int.zero, Zero::Middle { .. }) { "sym" } else { "asym" };
                let order = if int.g_idx.is_some() { " reordered" } else { "" };
                format!("int{} {kind} group {}{order}", int.bits, int.group)
            }
            Coding::Affine(affine) => format!("int{} affine group {}", affine.bits, affine.group),
            Coding::Fp8(fp8) => format!("FP8 {:?} block {}x{}", fp8.format, fp8.block.0, fp8.block.1),
            Coding::Micro(m) => match (m.element, m.scale) {
                (Element::Fp4, MicroScale::E8M0) => "MXFP4".to_owned(),
                (Element::Int4, _) => "MXINT4".to_owned(),
                (Element::Fp8, _) => "MXFP8".to_owned(),
                (Element::Fp4, MicroScale::E4M3) => "NVFP4".to_owned(),
                (Element::Fp4, MicroScale::E5M3) => "NVFP4 E5M3".to_owned(),
            },
        }
    }
}
