//! What a model family is: hyperparameters, tensors, metadata. Knows nothing of bits.

mod hparams;
mod metadata;
mod qwen3_next;
mod target;

pub use hparams::{HParams, LayerKind, RopeScaling};
pub use metadata::{ARCHITECTURE, metadata};
pub use qwen3_next::{Layout, layout};
pub use target::{Map, Part, Role, Rule, Target};
