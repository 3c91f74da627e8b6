//! Refuses the keys of a quantization configuration that are not known to leave the weights as they are.

mod auto_round;
mod compressed;
mod gptq;
mod ignored;
mod modelopt;
mod rule;
mod walk;

pub(super) use auto_round::AUTO_ROUND;
pub(super) use compressed::COMPRESSED_TENSORS;
pub(super) use gptq::{AWQ, FP8, GPTQ, MXFP4};
pub(super) use ignored::Ignored;
pub(super) use modelopt::{FILE as MODELOPT_FILE, MODELOPT};
pub(super) use rule::Table;
pub(super) use walk::{is_empty, refused};
