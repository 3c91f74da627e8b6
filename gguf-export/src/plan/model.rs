//! The plan of a whole GGUF.

use super::candidate::{Candidate, Certainty, Form};
use super::left_out::LeftOut;
use super::tensor::{Content, Fidelity, Piece, TensorPlan};
use super::{OutType, PlanOptions, exact};
use crate::arch::HParams;
use crate::error::{Inexact, size};
use crate::ggml::GgmlType;
use crate::gguf::Metadata;
use crate::quant::{Coding, Weight};
use crate::{Error, Result};

/// The plan of a GGUF.
#[derive(Debug)]
pub struct Plan {
    /// Metadata keys and values in file order.
    pub metadata: Metadata,
    /// Tensors in file order.
    pub tensors: Vec<TensorPlan>,
    /// The checkpoint's weights, to which [`Piece::weight`](super::Piece::weight) refers.
    pub weights: Vec<Weight>,
    /// Hyperparameters of the model.
    pub hparams: HParams,
    /// Number of MTP layers, 0 or 1.
    pub mtp_layers: u64,
    /// Tensors of the checkpoint that the GGUF leaves out.
    pub left_out: Vec<LeftOut>,
    /// Notes for the user, one sentence each.
    pub notes: Vec<String>,
    /// The caller's options.
    pub options: PlanOptions,
    /// The tokenizer's keys, if the shape of the embedding depends on them, until the metadata is complete.
    pub(super) tokenizer: Option<Metadata>,
}

impl Plan {
    /// Returns true if the type of every tensor is final.
    #[must_use]
    pub fn settled(&self) -> bool {
        self.tensors.iter().all(|t| t.fidelity.is_some())
    }

    /// Rounds a tensor that no type holds exactly, if the options allow it. `reason` states why no type is exact.
    ///
    /// # Errors
    /// The entry for [`Error::Inexact`] if rounding is not allowed.
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

    /// The quantized weights that the plan stores as F32, because no smaller type holds them exactly.
    #[must_use]
    pub fn expanded(&self) -> Option<Expanded<'_>> {
        let mut sum: Option<Expanded<'_>> = None;
        let is_f32 = |t: &&TensorPlan| {
            t.content == Content::Weights && t.ty() == GgmlType::F32 && !t.f32_only && !t.is_by_value()
        };
        for tensor in self.tensors.iter().filter(is_f32).filter(|tensor| !self.is_chosen(tensor)) {
            let bits = |piece: &Piece| {
                let weight = &self.weights[piece.weight as usize];
                Some(weight.coding.bits()? * piece.rows * tensor.columns())
            };
            let Some(bits) = tensor.pieces.iter().map(bits).sum::<Option<u64>>() else { continue };
            let sum = sum.get_or_insert(Expanded { source: &tensor.source, tensors: 0, from: 0, to: 0 });
            sum.tensors += 1;
            sum.from += bits / 8;
            sum.to += tensor.bytes();
        }
        sum
    }

    /// Notes about quantized weights that become floats whatever their values, with their bytes.
    pub(super) fn floats(&self) -> Vec<String> {
        let is_quantized = |t: &TensorPlan| {
            t.pieces.iter().any(|piece| self.weights[piece.weight as usize].coding.bits().is_some())
        };
        let is_float = |t: &TensorPlan| t.fidelity != Some(Fidelity::Rounded) && t.ty().block_len() == 1;
        let of = |is_own: fn(&TensorPlan) -> bool, why: &str| {
            let mut list = self.tensors.iter().filter(|t| is_own(t) && is_quantized(t) && is_float(t));
            let first = list.next()?;
            let (count, bytes) = list.fold((1u64, first.bytes()), |(n, bytes), t| (n + 1, bytes + t.bytes()));
            let others = if count == 1 { " is".to_owned() } else { format!(" and {} more are", count - 1) };
            let (name, ty, bytes) = (&first.name, first.ty().name(), size(bytes));
            Some(format!("`{name}`{others} {why}: {ty}, {bytes}"))
        };
        let transposed = of(TensorPlan::is_by_value, "transposed, which quantized blocks do not allow");
        let single =
            of(|t| t.f32_only && !t.is_by_value(), "quantized, which llama.cpp does not allow there");
        transposed.into_iter().chain(single).collect()
    }

    /// Returns true if the caller chose F32 for a tensor.
    fn is_chosen(&self, tensor: &TensorPlan) -> bool {
        let options = &self.options;
        let chosen = |ty: Option<GgmlType>| ty == Some(GgmlType::F32);
        let mtp = format!("blk.{}.", self.hparams.layers.len());
        let own = match tensor.name.as_str() {
            "output.weight" => options.lm_head,
            "token_embd.weight" => options.token_embd,
            name if name.starts_with(&mtp) => options.mtp,
            _ => None,
        };
        let is_fp8 = |piece: &Piece| matches!(self.weights[piece.weight as usize].coding, Coding::Fp8(_));
        options.outtype == OutType::Only(GgmlType::F32)
            || chosen(own)
            || (chosen(options.fp8) && tensor.pieces.iter().all(is_fp8))
    }

    /// Bytes of all tensors.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.tensors.iter().map(TensorPlan::bytes).sum()
    }
}

/// Quantized weights that become F32.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expanded<'a> {
    /// Encoding of the first of them.
    pub source: &'a str,
    /// Number of tensors.
    pub tensors: u64,
    /// Bytes of the quantized values, without scales.
    pub from: u64,
    /// Bytes in the GGUF.
    pub to: u64,
}

/// Fails with all inexact tensors at once; succeeds if the list is empty.
pub(crate) fn refuse(list: Vec<Inexact>) -> Result<()> {
    if list.is_empty() { Ok(()) } else { Err(Error::Inexact(list)) }
}
