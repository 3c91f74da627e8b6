//! How weights are stored: which encoding a module has, found from its tensors and held against the
//! configuration. Not here: names of models, and GGUF.
//!
//! Formats: AutoRound's, GPTQ's, AWQ's and compressed-tensors' packers; OCP microscaling; NVIDIA's NVFP4.

mod affine;
mod columns;
mod config;
mod float;
mod group;
mod int;
mod overrides;
pub mod reference;
mod resolve;
mod weight;

pub use columns::{Columns, Orders, orders};
pub use config::{Method, QuantConfig};
pub use resolve::{excused, resolve};
pub use weight::{
    Affine, Coding, Element, Float, Fp8, Fp8Format, Global, Int, Micro, MicroScale, Packing, ScaleOrder,
    Scales, Weight, Zero, ZeroRule,
};
