//! A GGUF or a checkpoint folder described as data. Not here: how it is shown.

use std::path::{Path, PathBuf};

use gguf_export::checkpoint::Checkpoint;
use gguf_export::gguf::{self, Header, Metadata};
use gguf_export::{Plan, PlanOptions, Result};

/// What a file or folder holds.
#[derive(Debug)]
pub struct Description {
    /// What it is.
    pub kind: Kind,
    /// Its files with their lengths in bytes.
    pub files: Vec<(PathBuf, u64)>,
    /// Its tensors.
    pub tensors: Vec<Tensor>,
    /// Key-value pairs of a GGUF; of a checkpoint those that its GGUF would get from the model's numbers.
    pub metadata: Metadata,
}

/// What was described.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A GGUF, in one file or several.
    Gguf,
    /// A folder of safetensors files.
    Checkpoint,
}

/// A tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tensor {
    /// Its name.
    pub name: String,
    /// Its type: ggml's for a GGUF, the encoding of the source for a checkpoint.
    pub ty: String,
    /// Its sizes, fastest first.
    pub dims: Vec<u64>,
    /// Bytes on the disk; of a checkpoint, bytes in the GGUF.
    pub bytes: u64,
}

/// Which part of the model a tensor belongs to.
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
    /// What only a prediction layer has.
    Prediction,
    /// Anything else.
    Other,
}

impl Part {
    /// The part that a GGUF name tells.
    #[must_use]
    pub fn of(name: &str) -> Self {
        let rest = name.strip_prefix("blk.").and_then(|n| n.split_once('.')).map_or(name, |(_, rest)| rest);
        match rest {
            _ if rest.starts_with("nextn.") => Self::Prediction,
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

    /// A name for people.
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
            Self::Prediction => "prediction layer",
            Self::Other => "other",
        }
    }
}

/// Describes a GGUF, or a folder with a checkpoint.
///
/// # Errors
/// What is wrong with the file or the folder.
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

/// The options of a plan that is only shown: nothing is refused.
#[must_use]
pub fn any_type() -> PlanOptions {
    PlanOptions { allow_rounding: true, ..PlanOptions::default() }
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
    let metadata = gguf_export::arch::metadata(&plan.hparams, plan.mtp_layers);
    Description { kind: Kind::Checkpoint, files, tensors, metadata }
}
