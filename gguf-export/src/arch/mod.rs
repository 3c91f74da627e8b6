//! What a model family is: hyperparameters, tensors, metadata. Knows nothing of bits.

mod hparams;
mod metadata;

pub use hparams::{HParams, LayerKind, RopeScaling};
pub use metadata::{ARCHITECTURE, metadata};
