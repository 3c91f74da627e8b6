//! Model families: hyperparameters, tensors, metadata. Not here: encodings.

mod hparams;
mod metadata;
mod model_card;
mod name;
mod naming;
mod qwen3_next;
mod target;

pub use hparams::{HParams, LayerKind, RopeScaling};
pub use metadata::{ARCHITECTURE, metadata};
pub use naming::{Parameters, Provenance, file_name, general, source_of};
pub use qwen3_next::{Layout, MTP_PREFIXES, layout};
pub use target::{Map, Part, Role, Rule, Target};
