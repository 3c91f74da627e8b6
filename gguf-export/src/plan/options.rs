//! Options of a plan.

use crate::ggml::GgmlType;
use crate::quant::Choices;

/// Options of a plan. The default chooses exact types and refuses to round.
#[derive(Debug, Clone, Default)]
pub struct PlanOptions {
    /// Type of the matrices.
    pub outtype: OutType,
    /// Type of FP8 matrices, instead of the smallest exact one.
    pub fp8: Option<GgmlType>,
    /// Type of the language-model head.
    pub lm_head: Option<GgmlType>,
    /// Type of the token embedding.
    pub token_embd: Option<GgmlType>,
    /// Type of the transposed keys of latent attention (`attn_k_b`).
    pub mla_k: Option<GgmlType>,
    /// Type of the matrices of the MTP layer (`mtp.*`).
    pub mtp: Option<GgmlType>,
    /// Rounds tensors that no type holds exactly, instead of refusing them.
    pub allow_rounding: bool,
    /// Decisions about the quantization configuration.
    pub config: Choices,
    /// Name of the model, instead of the one from the folder and the model card.
    pub name: Option<String>,
    /// Repository of the checkpoint. Ignored for a folder in the Hugging Face cache, whose path contains it.
    pub source: Option<Source>,
}

/// A repository on Hugging Face, for `general.source.*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// `ORG/NAME`.
    pub repository: String,
    /// The commit, if known.
    pub commit: Option<String>,
}

/// Type of the matrices of a GGUF.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OutType {
    /// The smallest type that holds each tensor exactly.
    #[default]
    Auto,
    /// This type for all matrices.
    Only(GgmlType),
}
