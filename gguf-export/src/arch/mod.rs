//! What a model family is: hyperparameters, tensors, metadata. Knows nothing of bits.

mod hparams;

pub use hparams::HParams;
