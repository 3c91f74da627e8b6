//! Model families: hyperparameters, tensors, metadata. Not here: encodings.

mod deepseek2;
mod delta_net;
mod families;
mod family;
mod gemma4;
mod gemma4_config;
mod glm4_moe;
mod gpt_oss;
mod hparams;
mod layout;
mod llama;
mod metadata;
mod minimax_m2;
mod model_card;
mod name;
mod naming;
mod nextn;
mod notes;
mod plain;
mod qwen3;
mod qwen3_5;
mod qwen3_next;
mod reader;
mod rope;
mod routing;
mod target;
#[cfg(test)]
mod testing;
mod traits;

pub use delta_net::MTP_PREFIXES;
pub use families::{FAMILIES, layout, table};
pub use family::{Family, OtherPart};
pub use hparams::{
    Attention, Delta, DeltaInputs, Experts, FeedForward, Gemma, HParams, Layer, Mla, Rope, RopeScaling,
};
pub use layout::{Layout, Names};
pub use naming::{Parameters, Provenance, file_name, general, model_name, source_of};
pub use target::{Columns, Map, Part, Role, Rows, Rule, Target};
