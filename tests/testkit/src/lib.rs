//! Writes tiny checkpoints for tests, and returns the exact values that they represent.
//!
//! Shares no code with the converter: every bit layout is implemented a second time, as simply as possible, so that tests
//! which compare the two are not circular.
//!
//! ```no_run
//! use testkit::{Encoding, Gptq, Model};
//!
//! let model = Model { experts: Encoding::Gptq(Gptq::sym(4, 128)), ..Model::tiny() };
//! let checkpoint = model.write("/tmp/checkpoint".as_ref());
//! let up = &checkpoint.weights["model.layers.0.mlp.experts.0.up_proj.weight"];
//! assert_eq!(up.values.len(), up.shape.iter().product::<usize>());
//! ```
//!
//! To damage a checkpoint, call [`Model::build`], edit the tensors or the configuration, and call [`Checkpoint::write`].
//! All functions panic on failure.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::doc_markdown,
    clippy::float_cmp,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::similar_names,
    reason = "numbers are chosen here, not read from files; values are exact; tests rely on panics"
)]

pub mod bits;
pub mod checkpoint;
pub mod config;
pub mod deepseek;
pub mod encode;
pub mod family;
pub mod float;
pub mod gemma_e2b;
pub mod generated;
pub mod header_only;
pub mod layout;
pub mod made_up;
pub mod model;
pub mod range;
pub mod rng;
pub mod safetensors;
pub mod seeds;
pub mod tokenizer;

pub use checkpoint::Checkpoint;
pub use encode::{
    Awq, CtInt8, CtPacked, Encoding, Fp8, Fp8Scale, GIdx, Gptq, Group, Mlx, NvFp4, ScaleDtype, StoredZero,
    Weight,
};
pub use family::Family;
pub use header_only::HeaderOnly;
pub use model::{Edit, LayerKind, Method, Model, Mtp};
pub use safetensors::{Dtype, Tensor};
