//! What the caller may choose.

use crate::ggml::GgmlType;

/// Choices of an export. The default refuses to round anything.
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
    /// Type of the matrices of the prediction layer (`mtp.*`).
    pub mtp: Option<GgmlType>,
    /// Rounds what no type holds, instead of refusing.
    pub allow_rounding: bool,
    /// Name of the model, instead of the one that the folder and the model card suggest.
    pub name: Option<String>,
    /// Where the checkpoint comes from, if its folder does not lie in Hugging Face's cache, which tells.
    pub source: Option<Source>,
}

/// A repository on Hugging Face, for `general.source.*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// `ORG/NAME`.
    pub repository: String,
    /// The commit, if it is known.
    pub commit: Option<String>,
}

/// Type of the matrices of a GGUF.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OutType {
    /// For each tensor the smallest type that holds it exactly.
    #[default]
    Auto,
    /// This type for all.
    Only(GgmlType),
}
