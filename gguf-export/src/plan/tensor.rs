//! The plan of one tensor: type, sources, fidelity.

use super::candidate::Candidate;
use crate::arch::{Columns, Map, Rows};
use crate::ggml::GgmlType;

/// One tensor of the GGUF.
#[derive(Debug, Clone)]
pub struct TensorPlan {
    /// Its name.
    pub name: String,
    /// Its dimensions, fastest first.
    pub dims: Vec<u64>,
    /// The sources of its rows, in order.
    pub pieces: Vec<Piece>,
    /// The order of its columns.
    pub order: Columns,
    /// The function applied to each value.
    pub map: Map,
    /// The content of its rows.
    pub content: Content,
    /// True if llama.cpp takes it in F32 only.
    pub f32_only: bool,
    /// Possible types, best first. The first is used. While there are several, or [`TensorPlan::fidelity`] is `None`,
    /// the survey has yet to check those that depend on data.
    pub candidates: Vec<Candidate>,
    /// Fidelity of the first candidate, once known.
    pub fidelity: Option<Fidelity>,
    /// Description of the source's encoding.
    pub source: String,
}

/// The content of a tensor's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Weights.
    Weights,
    /// The tensor-wide factor of each piece, one F32 per piece.
    Factors,
    /// The divisors of the rotary frequencies, which follow from the configuration.
    RopeFactors,
}

/// Consecutive rows of a tensor, from one weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// Index into [`Plan::weights`](super::Plan::weights).
    pub weight: u32,
    /// First row of the weight.
    pub start: u64,
    /// Number of rows of the tensor.
    pub rows: u64,
    /// How the rows are made.
    pub order: Rows,
}

/// Fidelity of a GGUF tensor to the checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fidelity {
    /// Exact for any data, by construction.
    Exact,
    /// Exact for this data; every value was checked.
    Checked,
    /// Rounded at the caller's request.
    Rounded,
}

impl Fidelity {
    /// The name in lower case, `exact`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Checked => "checked",
            Self::Rounded => "rounded",
        }
    }
}

impl TensorPlan {
    /// The type of the first candidate, which is used.
    #[must_use]
    pub fn ty(&self) -> GgmlType {
        self.candidates[0].ty
    }

    /// Name of the tensor with the factor of a matrix in [`Form::Unscaled`](super::Form::Unscaled); llama.cpp multiplies
    /// by it.
    #[must_use]
    pub fn scale_name(&self) -> String {
        format!("{}.scale", self.name.strip_suffix(".weight").unwrap_or(&self.name))
    }

    /// Returns true if its values are moved one by one.
    #[must_use]
    pub fn is_by_value(&self) -> bool {
        self.pieces.iter().any(|piece| piece.order.by_value())
    }

    /// Number of rows: the product of all dimensions except the fastest.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.dims[1..].iter().product()
    }

    /// Elements per row.
    #[must_use]
    pub fn columns(&self) -> u64 {
        self.dims[0]
    }

    /// Bytes per row.
    ///
    /// # Panics
    /// If a row is not a whole number of blocks; drafts contain no such candidate.
    #[must_use]
    pub fn row_bytes(&self) -> u64 {
        self.ty().row_bytes(self.columns()).expect("candidates hold whole blocks")
    }

    /// Size of the tensor in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.rows() * self.row_bytes()
    }
}
