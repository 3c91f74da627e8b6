//! Errors of a conversion.

use std::io;
use std::path::PathBuf;

use crate::hub::{self, RepoName};

/// Why a conversion failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The repository cannot be read.
    #[error(transparent)]
    Hub(hub::Error),
    /// A shard did not arrive while others were converted.
    #[error(transparent)]
    Shard(hub::Error),
    /// A quantized tensor cannot be borrowed.
    #[error(transparent)]
    Quantized(hub::CheckpointError),
    /// The checkpoint is wrong, or the GGUF cannot be written.
    #[error(transparent)]
    Export(#[from] gguf_export::Error),
    /// The repository is not a checkpoint.
    #[error("`{repo}` has no safetensors files")]
    NoShards {
        /// The repository.
        repo: RepoName,
    },
    /// The checkpoint has an MTP layer, and another one was requested from a repository.
    #[error("the checkpoint already has an MTP layer, expected none when taking that of `{repo}`")]
    HasMtp {
        /// The other repository.
        repo: RepoName,
    },
    /// The other repository has no MTP layer.
    #[error("`{repo}` has no MTP layer (`mtp.*`)")]
    NoMtp {
        /// The other repository.
        repo: RepoName,
    },
    /// The MTP layer of the other repository cannot be read.
    #[error("cannot take the MTP layer of `{repo}`")]
    Mtp {
        /// The other repository.
        repo: Box<RepoName>,
        /// Why.
        source: hub::CheckpointError,
    },
    /// The file of a borrowed MTP layer cannot be removed.
    #[error("cannot remove `{path}`")]
    Remove {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl From<hub::Error> for Error {
    fn from(error: hub::Error) -> Self {
        Self::Hub(error)
    }
}

impl From<hub::CheckpointError> for Error {
    fn from(error: hub::CheckpointError) -> Self {
        match error {
            hub::CheckpointError::Hub(error) => Self::Hub(error),
            hub::CheckpointError::Checkpoint(error) => Self::Export(error),
            error @ hub::CheckpointError::Quantized { .. } => Self::Quantized(error),
        }
    }
}
