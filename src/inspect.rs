//! Describes a GGUF or a checkpoint as data. Not here: printing.

use std::path::{Path, PathBuf};

use gguf_export::checkpoint::Checkpoint;
use gguf_export::gguf::{self, Header, Metadata};
use gguf_export::quant::{Choices, OtherKeys};
use gguf_export::{Plan, PlanOptions, Result};

/// The contents of a model.
#[derive(Debug)]
pub struct Description {
    /// The format.
    pub kind: Kind,
    /// The files with their sizes in bytes.
    pub files: Vec<(PathBuf, u64)>,
    /// The tensors.
    pub tensors: Vec<Tensor>,
    /// Metadata of a GGUF; for a checkpoint, the metadata that its hyperparameters would become in a GGUF.
    pub metadata: Metadata,
}

/// The format of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A GGUF in one or several files.
    Gguf,
    /// A folder of safetensors files.
    Checkpoint,
}

/// A tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tensor {
    /// The name.
    pub name: String,
    /// The type: ggml's name in a GGUF, the source encoding in a checkpoint.
    pub ty: String,
    /// The shape, fastest dimension first.
    pub dims: Vec<u64>,
    /// The size in the file; for a checkpoint, the size in the GGUF.
    pub bytes: u64,
}

/// The part of the model that a tensor belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Routed experts.
    Experts,
    /// The shared expert.
    SharedExpert,
    /// Routers and gates.
    Router,
    /// Softmax attention.
    Attention,
    /// The gated delta net.
    DeltaNet,
    /// The token embedding.
    Embedding,
    /// The language-model head.
    Head,
    /// Norms.
    Norms,
    /// Tensors that only an MTP layer has.
    Mtp,
    /// Anything else.
    Other,
}

impl Part {
    /// The part by a tensor's name in a GGUF.
    #[must_use]
    pub fn of(name: &str) -> Self {
        let rest = name.strip_prefix("blk.").and_then(|n| n.split_once('.')).map_or(name, |(_, rest)| rest);
        match rest {
            _ if rest.starts_with("nextn.") => Self::Mtp,
            _ if rest.contains("norm") => Self::Norms,
            _ if rest.starts_with("ffn_gate_inp") => Self::Router,
            _ if rest.contains("_exps") => Self::Experts,
            _ if rest.contains("_shexp") => Self::SharedExpert,
            _ if rest.starts_with("ssm_")
                || rest.starts_with("attn_qkv")
                || rest.starts_with("attn_gate") =>
            {
                Self::DeltaNet
            }
            _ if rest.starts_with("attn_") => Self::Attention,
            _ if rest.starts_with("token_embd") => Self::Embedding,
            _ if rest.starts_with("output") => Self::Head,
            _ => Self::Other,
        }
    }

    /// The name to show.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Experts => "experts",
            Self::SharedExpert => "shared expert",
            Self::Router => "router",
            Self::Attention => "attention",
            Self::DeltaNet => "delta net",
            Self::Embedding => "embedding",
            Self::Head => "head",
            Self::Norms => "norms",
            Self::Mtp => "MTP layer",
            Self::Other => "other",
        }
    }
}

/// Describes a GGUF or the folder of a checkpoint.
///
/// # Errors
///
/// When the file or the folder is invalid.
pub fn inspect(path: &Path) -> Result<Description> {
    if !path.is_dir() {
        return Ok(gguf(gguf::open_all(path)?));
    }
    let headers = Checkpoint::open(path)?;
    Ok(checkpoint(&headers, &Plan::draft(&headers, &any_type())?))
}

/// Describes a GGUF by the headers of its files.
#[must_use]
pub fn gguf(shards: Vec<(PathBuf, Header)>) -> Description {
    let mut files = Vec::new();
    let mut tensors = Vec::new();
    let mut metadata = Metadata::new();
    for (index, (path, header)) in shards.into_iter().enumerate() {
        files.push((path, header.file_len()));
        tensors.extend(header.tensors.iter().map(|t| Tensor {
            name: t.name.clone(),
            ty: t.ty.name().to_owned(),
            dims: t.dims.clone(),
            bytes: t.bytes(),
        }));
        if index == 0 {
            metadata = header.metadata;
        }
    }
    Description { kind: Kind::Gguf, files, tensors, metadata }
}

/// The options for a plan that is only shown, which refuses nothing.
#[must_use]
pub fn any_type() -> PlanOptions {
    let config = Choices { others: OtherKeys::Accepted, ..Choices::default() };
    PlanOptions { allow_rounding: true, config, ..PlanOptions::default() }
}

/// Describes a checkpoint by a draft of its plan.
#[must_use]
pub fn checkpoint(checkpoint: &Checkpoint, plan: &Plan) -> Description {
    let tensors = plan
        .tensors
        .iter()
        .map(|t| Tensor {
            name: t.name.clone(),
            ty: t.source.clone(),
            dims: t.dims.clone(),
            bytes: t.bytes(),
        })
        .collect();
    let files = checkpoint.identities().map(|(path, bytes, _)| (path.to_owned(), bytes)).collect();
    let metadata = plan.hparams.metadata(plan.mtp_layers);
    Description { kind: Kind::Checkpoint, files, tensors, metadata }
}
