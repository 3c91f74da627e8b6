//! What a model family is: hyperparameters, tensors, metadata. Knows nothing of bits.

mod hparams;
mod qwen3_next;
mod target;

pub use hparams::{HParams, LayerKind};
pub use qwen3_next::{Layout, layout};
pub use target::{Map, Part, Role, Rule, Target};
