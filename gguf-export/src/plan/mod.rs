//! Which GGUF tensor is made from what, in which type, how faithfully: complete before the first byte is written.
//!
//! Here the names of `arch` and the encodings of `quant` meet. Not here: weights, which only `survey` and
//! `export` read.

mod draft;
mod exact;
mod metadata;
mod options;

pub use exact::{Candidate, Certainty, Form};
pub use options::{OutType, PlanOptions, Source};

use crate::arch::{HParams, Map};
use crate::checkpoint::Checkpoint;
use crate::error::Inexact;
use crate::ggml::GgmlType;
use crate::gguf::Metadata;
use crate::quant::{Orders, Weight};
use crate::{Error, Result};

/// Everything that an export will do.
#[derive(Debug)]
pub struct Plan {
    /// Key-value pairs in file order.
    pub metadata: Metadata,
    /// Tensors in file order.
    pub tensors: Vec<TensorPlan>,
    /// The checkpoint's weights, as [`Piece::weight`] counts them.
    pub weights: Vec<Weight>,
    /// The model's numbers.
    pub hparams: HParams,
    /// Multi-token-prediction layers, 0 or 1.
    pub mtp_layers: u64,
    /// What the user should know, one sentence each.
    pub notes: Vec<String>,
    /// What may be rounded, and to what.
    pub options: PlanOptions,
}

/// One tensor of the GGUF.
#[derive(Debug, Clone)]
pub struct TensorPlan {
    /// Its name.
    pub name: String,
    /// Its sizes, fastest first.
    pub dims: Vec<u64>,
    /// Where its rows come from, in order.
    pub pieces: Vec<Piece>,
    /// What is done to each value.
    pub map: Map,
    /// What its rows hold.
    pub content: Content,
    /// The types it may take, best first. The first is used; those that depend on data are still to be proven
    /// while there are more, or while [`TensorPlan::fidelity`] is `None`.
    pub candidates: Vec<Candidate>,
    /// How true the result is, once known.
    pub fidelity: Option<Fidelity>,
    /// The source's encoding in words.
    pub source: String,
}

/// What the rows of a tensor hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// The weights.
    Weights,
    /// The tensor-wide factor of each piece, one value each.
    Factors,
}

/// Consecutive rows of one weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// Index into [`Plan::weights`].
    pub weight: u32,
    /// First row.
    pub start: u64,
    /// Number of rows.
    pub rows: u64,
}

/// How true a tensor of the GGUF is to the checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fidelity {
    /// Exact whatever the data, by construction.
    Exact,
    /// Exact for this data, as checked value by value.
    Checked,
    /// Rounded, because the caller asked for it.
    Rounded,
}

impl Fidelity {
    /// One word.
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
    /// The type it is going to have.
    #[must_use]
    pub fn ty(&self) -> GgmlType {
        self.candidates[0].ty
    }

    /// Name of the tensor that holds the factor of a matrix stored without it: llama.cpp multiplies by it.
    #[must_use]
    pub fn scale_name(&self) -> String {
        format!("{}.scale", self.name.strip_suffix(".weight").unwrap_or(&self.name))
    }

    /// Rows over all but the fastest dimension.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.dims[1..].iter().product()
    }

    /// Elements of a row.
    #[must_use]
    pub fn columns(&self) -> u64 {
        self.dims[0]
    }

    /// Bytes of a row.
    ///
    /// # Panics
    /// If the type's blocks do not divide the row; no draft has such a candidate.
    #[must_use]
    pub fn row_bytes(&self) -> u64 {
        self.ty().row_bytes(self.columns()).expect("candidates hold whole blocks")
    }

    /// Bytes of the tensor.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.rows() * self.row_bytes()
    }
}

impl Plan {
    /// Drafts a plan from headers and configuration alone; of the data, only orders of columns (`g_idx`) are
    /// read, where there are any. Tensors whose best type depends on their values are left for `survey`.
    ///
    /// # Errors
    /// Everything that is wrong with the checkpoint as far as its headers show, and [`Error::Inexact`] for
    /// tensors that no type holds.
    pub fn draft(checkpoint: &Checkpoint, options: &PlanOptions) -> Result<Self> {
        Self::draft_by(checkpoint, options, &Orders::Read)
    }

    /// The same without a look at any data, of a checkpoint whose shards are not there yet: orders of columns are taken
    /// to be trivial.
    ///
    /// # Errors
    /// As [`Plan::draft`].
    pub fn foresee(checkpoint: &Checkpoint, options: &PlanOptions) -> Result<Self> {
        Self::draft_by(checkpoint, options, &Orders::Assumed)
    }

    pub(crate) fn draft_by(checkpoint: &Checkpoint, options: &PlanOptions, orders: &Orders) -> Result<Self> {
        draft::draft(checkpoint, options, orders)
    }

    /// Fills in the metadata, which needs the final types.
    ///
    /// # Errors
    /// What is wrong with the tokenizer or with a file that describes the model.
    pub(crate) fn complete(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        self.metadata = metadata::metadata(checkpoint, self)?;
        Ok(())
    }

    /// Takes the source that a file names where nothing else tells it: a folder that was moved or copied does not.
    pub(crate) fn adopt_source(&mut self, checkpoint: &Checkpoint, found: &Metadata) {
        if metadata::repository(checkpoint.dir()).is_none() {
            let source = crate::arch::source_of(found);
            self.options.source = source.map(|(repository, commit)| Source { repository, commit });
        }
    }

    /// Whether every tensor has its type.
    #[must_use]
    pub fn settled(&self) -> bool {
        self.tensors.iter().all(|t| t.fidelity.is_some())
    }

    /// Gives a tensor that no exact type holds its rounded type, or says why it is refused.
    ///
    /// # Errors
    /// The refusal, for [`Error::Inexact`].
    pub(crate) fn round(&mut self, tensor: usize, reason: String) -> Result<(), Inexact> {
        let weights = &self.weights;
        let t = &mut self.tensors[tensor];
        if !self.options.allow_rounding {
            return Err(exact::refusal(t, reason));
        }
        let ty = exact::nearest(t, weights);
        t.candidates = vec![Candidate { ty, form: Form::Values, certainty: Certainty::Rounded }];
        t.fidelity = Some(Fidelity::Rounded);
        Ok(())
    }

    /// The file's name by the GGUF convention: base name, size, fine-tune, encoding.
    ///
    /// # Errors
    /// [`Error::Json`] if a file that describes the model cannot be read.
    pub fn file_name(&self, checkpoint: &Checkpoint) -> Result<String> {
        metadata::file_name(checkpoint, self)
    }

    /// Bytes of all tensors.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.tensors.iter().map(TensorPlan::bytes).sum()
    }
}

/// Refuses everything that was found inexact at once, so that the user sees it all.
pub(crate) fn refuse(list: Vec<Inexact>) -> Result<()> {
    if list.is_empty() { Ok(()) } else { Err(Error::Inexact(list)) }
}
