//! A weight matrix as stored in the checkpoint, with its layout fully resolved.

use std::collections::BTreeSet;

use crate::checkpoint::{Checkpoint, TensorId};

/// A logical matrix `[rows, columns]`; rows are outputs, columns inputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weight {
    /// Outputs; for three-dimensional tensors, the product of the two leading dimensions.
    pub rows: u64,
    /// Inputs.
    pub columns: u64,
    /// The encoding of the values.
    pub coding: Coding,
}

/// The encoding of a weight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Coding {
    /// Plain floats.
    Plain {
        /// The matrix.
        values: TensorId,
        /// Its dtype.
        dtype: Float,
    },
    /// Integer codes with a scale and a zero point per group: `scale * (code - zero)`.
    Int(Int),
    /// Integer codes with a scale and a bias per group: `scale * code + bias`, rounded once to F32.
    Affine(Affine),
    /// Eight-bit floats with a scale per block: `value * scale`.
    Fp8(Fp8),
    /// Small floats or integers with a one-byte scale per group.
    Micro(Micro),
}

/// Dtype of plain floats and of scales.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Float {
    /// Half precision.
    F16,
    /// The upper half of an F32.
    BF16,
    /// Single precision.
    F32,
    /// Powers of two, `2^(byte - 127)`: scales only.
    E8M0,
}

impl Float {
    /// Bytes per value.
    #[must_use]
    pub fn bytes(self) -> u64 {
        match self {
            Self::F16 | Self::BF16 => 2,
            Self::F32 => 4,
            Self::E8M0 => 1,
        }
    }
}

/// Integer codes of 2 to 8 bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Int {
    /// Bits per code.
    pub bits: u32,
    /// The codes.
    pub codes: TensorId,
    /// Layout of the codes.
    pub packing: Packing,
    /// The scales.
    pub scales: Scales,
    /// Columns per group; the last group may be shorter.
    pub group: u64,
    /// Groups per row.
    pub groups: u64,
    /// The zero points.
    pub zero: Zero,
    /// Group of each column, `I32 [columns]`; `None` if it is `column / group`.
    pub g_idx: Option<TensorId>,
}

/// Integer codes of 2, 4 or 8 bits with a bias instead of a zero point: MLX packing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Affine {
    /// Bits per code.
    pub bits: u32,
    /// `U32 [rows, columns * bits / 32]`: the stream of one output runs along a row.
    pub codes: TensorId,
    /// Scales `[rows, groups]`, with their dtype.
    pub scales: (TensorId, Float),
    /// Biases `[rows, groups]`, with their dtype.
    pub biases: (TensorId, Float),
    /// Columns per group; the last group may be shorter.
    pub group: u64,
    /// Groups per row.
    pub groups: u64,
}

/// Layout of integer codes. A stream is a bit string, low bits first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// `I32 [words, rows]`: the stream of one output runs down a column.
    Gptq,
    /// `I32 [columns, rows * bits / 32]`: streams along the outputs, each run of eight outputs interleaved.
    Awq,
    /// `I32 [rows, words]`: the stream of one output runs along a row.
    RowMajor {
        /// Codes per word if the top bits of a word are unused; `None` for a dense stream.
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
    /// Its dtype.
    pub dtype: Float,
    /// Its dimension order.
    pub order: ScaleOrder,
}

/// Dimension order of a scale tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScaleOrder {
    /// `[groups, rows]`.
    GroupMajor,
    /// `[rows, groups]`.
    RowMajor,
}

/// The zero points of a weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Zero {
    /// `2^(bits - 1)` everywhere: symmetric quantization. A stored tensor must have this value, or this value less one in
    /// GPTQ packing.
    Middle {
        /// The stored zero points, if any.
        stored: Option<TensorId>,
    },
    /// Stored for each group and row.
    Stored {
        /// The zero points.
        tensor: TensorId,
        /// Their layout.
        rule: ZeroRule,
    },
}

/// Layout of stored zero points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ZeroRule {
    /// `I32 [groups, rows * bits / 32]`: a stream along the outputs; codes are the zero points.
    Direct,
    /// As `Direct`, with codes one less than the zero points. Packers that sum codes into a word propagate the borrow of
    /// a zero point of 0 into the next code, so readers add one to each code by a single addition to the word.
    MinusOne,
    /// As `Direct`, with eight outputs interleaved as in AWQ packing.
    Awq,
    /// `I32 [rows * bits / 32, groups]`: a stream down the outputs; codes are the zero points.
    DownRows {
        /// Codes per word if the top bits of a word are unused; `None` for a dense stream.
        per_word: Option<u32>,
    },
    /// `I8 [rows, groups]`: the zero points less `2^(bits - 1)`.
    Bytes,
}

/// Eight-bit floats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fp8 {
    /// The codes, `[rows, columns]`.
    pub codes: TensorId,
    /// Their format.
    pub format: Fp8Format,
    /// The scale tensor, row-major by block, with its dtype.
    pub scale: (TensorId, Float),
    /// Rows and columns of a block that shares a scale; blocks at the edges are smaller.
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
    /// The elements; four-bit elements are two per byte, low nibble first.
    pub codes: TensorId,
    /// Their format.
    pub element: Element,
    /// The scales, one byte per group: `[rows, columns / group]`.
    pub scales: TensorId,
    /// Format of a scale.
    pub scale: MicroScale,
    /// Columns per group.
    pub group: u64,
    /// The scale of the whole tensor.
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

/// The scale of a whole microscaled tensor, `F32 [1]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Global {
    /// No such scale.
    None,
    /// A divisor of the values.
    Divide(TensorId),
    /// A factor of the values.
    Multiply(TensorId),
}

impl Coding {
    /// Bits per value, without scales; `None` if it is not quantized.
    #[must_use]
    pub fn bits(&self) -> Option<u64> {
        match self {
            Self::Plain { .. } => None,
            Self::Int(int) => Some(int.bits.into()),
            Self::Affine(affine) => Some(affine.bits.into()),
            Self::Fp8(_) => Some(8),
            Self::Micro(micro) => Some(if micro.element == Element::Fp8 { 8 } else { 4 }),
        }
    }
}

impl Weight {
    /// The tensor with the codes or values.
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

    /// The shards that hold its tensors, as indices into [`Checkpoint::shards`].
    #[must_use]
    pub fn shards(&self, checkpoint: &Checkpoint) -> BTreeSet<usize> {
        self.tensors().into_iter().map(|id| checkpoint.shard_of(id)).collect()
    }

    /// All its tensors.
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

    /// Columns that share a scale; `None` if it is not quantized.
    #[must_use]
    pub fn group(&self) -> Option<u64> {
        match &self.coding {
            Coding::Plain { .. } => None,
            Coding::Int(int) => Some(int.group),
            Coding::Affine(affine) => Some(affine.group),
            Coding::Fp8(fp8) => Some(fp8.block.1),
            Coding::Micro(micro) => Some(micro.group),
        }
    }

    /// A short description for users: `int4 sym group 128`.
    #[must_use]
    pub fn describe(&self) -> String {
        match &self.coding {
            Coding::Plain { dtype, .. } => format!("{dtype:?}"),
            Coding::Int(int) => {
                let kind = if matches!(int.zero, Zero::Middle { .. }) { "sym" } else { "asym" };
                let order = if int.g_idx.is_some() { " act-order" } else { "" };
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
