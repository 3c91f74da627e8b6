//! Errors of loading a model.

use std::io;
use std::path::PathBuf;

use crate::llama::is_short_of_memory;

/// Why a model cannot be loaded or run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The file does not exist or cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The file is a GGUF that holds something else.
    #[error("`{}` is {found}, expected a model", path.display())]
    NotAModel {
        /// The file.
        path: PathBuf,
        /// What it holds.
        found: &'static str,
    },
    /// The header of the file, or of one of its parts, is invalid.
    #[error(transparent)]
    Header(#[from] gguf_export::Error),
    /// A metadata value is invalid.
    #[error("`{}`: `{key}` is {found}, expected {expected}", path.display())]
    Metadata {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// The value found.
        found: String,
        /// The value expected.
        expected: String,
    },
    /// A required tensor is missing.
    #[error("`{}`: tensor `{tensor}` is missing", path.display())]
    MissingTensor {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
    },
    /// A tensor is not used by the architecture.
    #[error("`{}`: unexpected tensor `{tensor}` in a model of {layers} layers", path.display())]
    SurplusTensor {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// The number of layers by the metadata.
        layers: u32,
    },
    /// A factor of a matrix is not used by the architecture.
    #[error("`{}`: llama.cpp does not multiply by `{tensor}`, so the weights would have wrong values", path.display())]
    IgnoredFactor {
        /// The file.
        path: PathBuf,
        /// The factor.
        tensor: String,
    },
    /// The architecture is not one whose tensors are checked.
    #[error("`{}`: architecture `{architecture}` is not checked; llama.cpp may abort on its tensors", path.display())]
    UnknownArchitecture {
        /// The file.
        path: PathBuf,
        /// The architecture.
        architecture: String,
    },
    /// The name of a tensor is not known.
    #[error("`{}`: unknown tensor `{tensor}`", path.display())]
    UnknownTensor {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
    },
    /// A tensor contradicts the metadata.
    #[error("`{}`: tensor `{tensor}` has {found}, expected {expected}", path.display())]
    Tensor {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// The shape or type found.
        found: String,
        /// The shape or type expected.
        expected: String,
    },
    /// The model cannot be placed.
    #[error(transparent)]
    Place(#[from] super::PlaceError),
    /// An RPC worker cannot be used.
    #[error(transparent)]
    Worker(#[from] super::rpc::WorkerError),
    /// NUMA cannot be set up as requested.
    #[error(transparent)]
    Numa(#[from] crate::llama::NumaError),
    /// llama.cpp accepts only UTF-8 paths.
    #[error("the path `{}` is not UTF-8", path.display())]
    Path {
        /// The file.
        path: PathBuf,
    },
    /// llama.cpp failed to load the model.
    #[error("llama.cpp cannot load `{}`: {}", path.display(), reason(log))]
    Refused {
        /// The file.
        path: PathBuf,
        /// Its last warnings and errors, oldest first.
        log: Vec<String>,
    },
    /// llama.cpp failed to create a context.
    #[error(
        "llama.cpp cannot create a context of {sequences} sequences with {context} tokens each: {}",
        reason(log)
    )]
    Context {
        /// The number of sequences.
        sequences: u32,
        /// Tokens per sequence.
        context: u32,
        /// Its last warnings and errors, oldest first.
        log: Vec<String>,
    },
    /// The caller cancelled loading.
    #[error("loading `{}` was cancelled", path.display())]
    Cancelled {
        /// The file.
        path: PathBuf,
    },
    /// The system refused to create a thread.
    #[error("cannot start the engine's thread")]
    Thread(#[source] io::Error),
    /// The system refused to create threads that compute.
    #[error("cannot start {count} threads")]
    Threads {
        /// The number of threads.
        count: u32,
        /// The system's error.
        source: io::Error,
    },
    /// The engine's thread ended before it was ready.
    #[error("the engine's thread ended before it was ready")]
    Died,
}

impl LoadError {
    /// Whether memory was short, or the system refused to create a thread.
    #[must_use]
    pub fn is_short_of_memory(&self) -> bool {
        match self {
            Self::Thread(_) | Self::Threads { .. } => true,
            Self::Refused { log, .. } | Self::Context { log, .. } => {
                log.iter().any(|line| is_short_of_memory(line))
            }
            Self::Read { source, .. } | Self::Header(gguf_export::Error::Io { source, .. }) => {
                source.kind() == io::ErrorKind::OutOfMemory
            }
            _ => false,
        }
    }

    /// Whether the memory of a device besides the CPU was short.
    #[must_use]
    pub fn is_short_on_device(&self) -> bool {
        let (Self::Refused { log, .. } | Self::Context { log, .. }) = self else { return false };
        log.iter().any(|line| is_short_of_memory(line) && DEVICES.iter().any(|name| line.contains(name)))
    }
}

/// The beginnings of names of devices.
const DEVICES: [&str; 4] = ["CUDA", "MTL", "RPC", "Vulkan"];

fn reason(log: &[String]) -> String {
    if log.is_empty() {
        return "no reason given".to_owned();
    }
    log.join("; ").replace("std::bad_alloc", "out of memory")
}
