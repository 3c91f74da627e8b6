//! The module to resolve, with access to its tensors and to the configuration.

use super::{Float, Orders, QuantConfig};
use crate::checkpoint::{Checkpoint, Dtype, TensorId, TensorInfo};
use crate::{Error, Result};

/// A module to resolve: a matrix of `rows` outputs and `columns` inputs.
pub(super) struct Request<'a> {
    pub(super) checkpoint: &'a Checkpoint,
    pub(super) config: &'a QuantConfig,
    pub(super) orders: &'a Orders,
    pub(super) module: &'a str,
    pub(super) rows: u64,
    pub(super) columns: u64,
}

impl Request<'_> {
    pub(super) fn find(&self, suffix: &str) -> Option<TensorId> {
        self.checkpoint.find(&format!("{}{suffix}", self.module))
    }

    pub(super) fn info(&self, id: TensorId) -> &TensorInfo {
        self.checkpoint.info(id)
    }

    /// A companion tensor that must exist.
    pub(super) fn need(&self, suffix: &str) -> Result<TensorId> {
        self.find(suffix).ok_or_else(|| self.missing(suffix))
    }

    pub(super) fn missing(&self, suffix: &str) -> Error {
        Error::MissingTensor {
            path: self.checkpoint.dir().to_owned(),
            tensor: format!("{}{suffix}", self.module),
            needed_by: "other tensors of this module exist".to_owned(),
        }
    }

    pub(super) fn wrong(&self, id: TensorId, found: impl Into<String>, expected: impl Into<String>) -> Error {
        Error::Tensor { at: self.checkpoint.locate(id), found: found.into(), expected: expected.into() }
    }

    /// Checks dtype and shape; `why` goes into the error message.
    pub(super) fn expect(&self, id: TensorId, dtype: Dtype, shape: &[u64], why: &str) -> Result<()> {
        let info = self.info(id);
        if info.dtype == dtype && info.shape == shape {
            return Ok(());
        }
        let expected = format!("{dtype} {shape:?} {why}");
        Err(self.wrong(id, format!("it is {} {:?}", info.dtype, info.shape), expected))
    }

    /// The dtype of a tensor of floats.
    pub(super) fn float(&self, id: TensorId) -> Result<Float> {
        match self.info(id).dtype {
            Dtype::F16 => Ok(Float::F16),
            Dtype::BF16 => Ok(Float::BF16),
            Dtype::F32 => Ok(Float::F32),
            other => Err(self.wrong(id, format!("its dtype is {other}"), "F16, BF16 or F32")),
        }
    }
}
