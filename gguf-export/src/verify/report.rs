//! The result of a verification.

use std::fmt;

use crate::ggml::GgmlType;
use crate::quant::ZeroPoints;

/// Number of differences in a report; more are only counted.
pub(super) const MAX_LISTED: usize = 10;

/// The result of a verification.
#[derive(Debug, Default)]
pub struct Report {
    /// Number of tensors compared.
    pub tensors: usize,
    /// Number of values compared.
    pub values: u64,
    /// Number of metadata keys compared.
    pub keys: usize,
    /// Number of tensors that the GGUF declares as rounded.
    pub rounded: usize,
    /// Number of values that differ within the rounding of a declared tensor.
    pub inexact: u64,
    /// Number of differences that are the rounding of a declared tensor; 0 if rounding is accepted.
    pub not_accepted: u64,
    /// Number of tensors of the checkpoint that the GGUF lists as left out.
    pub left_out: usize,
    /// Number of tensors of the checkpoint that belong to a part other than the language model: vision or audio.
    pub other_parts: usize,
    /// Names of the checkpoint's files that hold the weights once more, in Mistral's own format, and were not compared.
    pub second_copies: Vec<String>,
    /// Keys of the quantization configuration that were ignored, as the GGUF declares.
    pub ignored_keys: Vec<String>,
    /// How zero points were taken, if the caller chose it.
    pub zero_points: Option<ZeroPoints>,
    /// Number of differences.
    pub count: u64,
    /// The first ten differences, in file order.
    pub differences: Vec<Difference>,
}

impl Report {
    /// Returns true if there are no differences.
    #[must_use]
    pub fn equal(&self) -> bool {
        self.count == 0
    }

    pub(super) fn push(&mut self, difference: Difference) {
        self.count += 1;
        if self.differences.len() < MAX_LISTED {
            self.differences.push(difference);
        }
    }
}

/// A difference between a GGUF and its checkpoint.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Difference {
    /// A value differs.
    Value {
        /// GGUF name of the tensor.
        tensor: String,
        /// Row, counted over all dimensions except the fastest.
        row: u64,
        /// Index in the row.
        column: u64,
        /// The value in the checkpoint.
        expected: f64,
        /// The value in the GGUF.
        found: f64,
    },
    /// The scale of a block differs. Its values may still be equal, if they are all zero.
    Scale {
        /// GGUF name of the tensor.
        tensor: String,
        /// Row, counted over all dimensions except the fastest.
        row: u64,
        /// Index in the row of the block's first element.
        column: u64,
        /// The scale in the checkpoint.
        expected: f32,
        /// The scale in the GGUF.
        found: f32,
    },
    /// Values of a tensor are rounded, as the GGUF declares.
    Rounded {
        /// GGUF name of the tensor.
        tensor: String,
        /// Its type.
        ty: GgmlType,
        /// Number of values that differ within the rounding of the type.
        values: u64,
    },
    /// A tensor is missing or superfluous, or has another shape or type.
    Tensor {
        /// GGUF name of the tensor.
        name: String,
        /// The difference, as a clause.
        what: String,
    },
    /// The value of a metadata key differs.
    Key {
        /// The key.
        key: String,
        /// The value expected for the checkpoint.
        expected: String,
        /// The value in the GGUF.
        found: String,
    },
}

impl Difference {
    /// The name of the tensor, or the key.
    #[must_use]
    pub fn place(&self) -> &str {
        match self {
            Self::Value { tensor: name, .. }
            | Self::Scale { tensor: name, .. }
            | Self::Rounded { tensor: name, .. }
            | Self::Tensor { name, .. } => name,
            Self::Key { key, .. } => key,
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value { tensor, row, column, expected, found } => {
                write!(
                    f,
                    "tensor `{tensor}`, row {row}, column {column}: checkpoint {expected:e}, GGUF {found:e}"
                )
            }
            Self::Scale { tensor, row, column, expected, found } => write!(
                f,
                "tensor `{tensor}`, row {row}, column {column}: scale in the checkpoint {expected:e}, in the GGUF {found:e}"
            ),
            Self::Rounded { tensor, ty, values } => {
                let values = if *values == 1 { "1 value".to_owned() } else { format!("{values} values") };
                write!(f, "tensor `{tensor}`: {values} rounded to {ty}, as the GGUF declares")
            }
            Self::Tensor { name, what } => write!(f, "tensor `{name}`: {what}"),
            Self::Key { key, expected, found } => {
                write!(f, "metadata `{key}`: checkpoint {expected}, GGUF {found}")
            }
        }
    }
}
