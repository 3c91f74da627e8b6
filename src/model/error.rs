//! Why a model cannot be loaded.

use std::io;
use std::path::PathBuf;

/// Why a model cannot be loaded or run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The file is not there or cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// There is something else in it.
    #[error("`{}` is not a GGUF file: it begins with {begins:02x?}, expected `GGUF`", path.display())]
    NotGguf {
        /// The file.
        path: PathBuf,
        /// Its first bytes, up to four.
        begins: Vec<u8>,
    },
    /// The header of the file, or of one of its parts, cannot be right.
    #[error(transparent)]
    Header(#[from] gguf_export::Error),
    /// A value of the metadata that cannot be.
    #[error("`{}`: `{key}` is {found}, expected {expected}", path.display())]
    Metadata {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// What is there.
        found: String,
        /// What should be.
        expected: String,
    },
    /// A tensor that the model cannot do without.
    #[error("`{}`: tensor `{tensor}` is missing", path.display())]
    MissingTensor {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
    },
    /// A tensor that no part of the model uses.
    #[error("`{}`: no part of {layers} layers uses tensor `{tensor}`", path.display())]
    SurplusTensor {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// Layers by the metadata.
        layers: u32,
    },
    /// A tensor that contradicts the metadata.
    #[error("`{}`: tensor `{tensor}` has {found}, expected {expected}", path.display())]
    Tensor {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// What is there.
        found: String,
        /// What should be.
        expected: String,
    },
    /// It cannot be placed as it was asked for, or at all.
    #[error(transparent)]
    Place(#[from] super::PlaceError),
    /// A worker that cannot be used.
    #[error(transparent)]
    Worker(#[from] super::rpc::WorkerError),
    /// NUMA cannot be set up as requested.
    #[error(transparent)]
    Numa(#[from] crate::llama::NumaError),
    /// llama.cpp takes only names that are UTF-8.
    #[error("the name of `{}` is not UTF-8", path.display())]
    Path {
        /// The file.
        path: PathBuf,
    },
    /// llama.cpp could not load it.
    #[error("llama.cpp cannot load `{}`: {}", path.display(), reason(log))]
    Refused {
        /// The file.
        path: PathBuf,
        /// Its last warnings and errors, oldest first.
        log: Vec<String>,
    },
    /// llama.cpp could not make a context.
    #[error("llama.cpp cannot make {sequences} contexts of {context} tokens: {}", reason(log))]
    Context {
        /// Sequences asked for.
        sequences: u32,
        /// Tokens of each.
        context: u32,
        /// Its last warnings and errors, oldest first.
        log: Vec<String>,
    },
    /// The caller stopped it.
    #[error("loading `{}` was cancelled", path.display())]
    Cancelled {
        /// The file.
        path: PathBuf,
    },
    /// The system gave no thread for the engine.
    #[error("cannot start the engine's thread")]
    Thread(#[source] io::Error),
    /// The engine's thread ended before it was ready.
    #[error("the engine's thread ended before it was ready")]
    Died,
}

fn reason(log: &[String]) -> String {
    if log.is_empty() { "it gave no reason".to_owned() } else { log.join("; ") }
}
