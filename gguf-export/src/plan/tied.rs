//! A head that the configuration ties to the token embedding, but that the checkpoint stores as well.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::arch::{HParams, Names};
use crate::checkpoint::{Checkpoint, ModelConfig, TensorId};
use crate::{Error, Result};

/// Bytes per read.
const CHUNK: u64 = 1 << 20;

/// Whether a stored head equals the embedding to which it is tied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TiedHead {
    /// Both are read and compared.
    Read,
    /// Not read: they are assumed to differ.
    Assumed,
    /// Compared earlier.
    Known(bool),
}

impl TiedHead {
    /// Returns true if the GGUF needs a head of its own: the model is not tied, or its stored head differs from the
    /// embedding.
    pub(super) fn is_needed(self, checkpoint: &Checkpoint, hparams: &HParams, names: Names) -> Result<bool> {
        if !hparams.tied {
            return Ok(true);
        }
        if !checkpoint.any_with_prefix(&format!("{}.", names.head)) {
            return Ok(false);
        }
        let Some(pair) = pair(checkpoint)? else { return Ok(true) };
        match self {
            Self::Assumed => Ok(true),
            Self::Known(equal) => Ok(!equal),
            Self::Read => Ok(!equal(checkpoint, pair, &AtomicBool::new(false))?),
        }
    }
}

/// Embedding and head of a tied model that may be equal: both exist, with one dtype and shape.
pub(crate) fn pair(checkpoint: &Checkpoint) -> Result<Option<(TensorId, TensorId)>> {
    let config = checkpoint.config();
    let is_tied = |config: &ModelConfig| Ok(config.bool("tie_word_embeddings")? == Some(true));
    if !is_tied(config)? && !is_tied(&config.with_section("text_config")?)? {
        return Ok(None);
    }
    let weight = |module: &str| checkpoint.find(&format!("{module}.weight"));
    let both = Names::ALL.iter().find_map(|names| weight(&names.embedding()).zip(weight(names.head)));
    let is_alike = |&(embedding, head): &(TensorId, TensorId)| {
        let [one, other] = [embedding, head].map(|id| checkpoint.info(id));
        (one.dtype, &one.shape) == (other.dtype, &other.shape)
    };
    Ok(both.filter(is_alike))
}

/// Compares the data of two tensors of one size.
pub(crate) fn equal(
    checkpoint: &Checkpoint,
    (one, other): (TensorId, TensorId),
    stop: &AtomicBool,
) -> Result<bool> {
    let bytes = checkpoint.info(one).bytes;
    let (mut left, mut right) = (Vec::new(), Vec::new());
    let mut offset = 0;
    while offset < bytes {
        if stop.load(Ordering::Relaxed) {
            return Err(Error::Stopped);
        }
        let length = CHUNK.min(bytes - offset);
        for (id, buffer) in [(one, &mut left), (other, &mut right)] {
            buffer.resize(usize::try_from(length).unwrap_or(usize::MAX), 0);
            checkpoint.read(id, offset, buffer)?;
        }
        if left != right {
            return Ok(false);
        }
        offset += length;
    }
    Ok(true)
}
