//! Encodings of stored weights: determines the encoding of a module from its tensors and checks it against
//! `quantization_config`. Not here: model families, and GGUF.
//!
//! Formats: the packers of AutoRound, GPTQ, AWQ, compressed-tensors and MLX; OCP microscaling; NVIDIA's NVFP4.

mod affine;
mod choices;
mod columns;
mod config;
mod declared;
mod float;
mod group;
mod int;
mod keys;
mod method;
mod overrides;
pub mod reference;
mod request;
mod resolve;
mod schemes;
mod source;
mod weight;
mod zeros;

pub use choices::{Choices, OtherKeys, ZeroPoints};
pub use columns::{Columns, Orders, orders};
pub use config::QuantConfig;
pub use declared::Declared;
pub use method::Method;
pub use resolve::{is_layout, resolve};
pub use weight::{
    Affine, Coding, Element, Float, Fp8, Fp8Format, Global, Int, Micro, MicroScale, Packing, ScaleOrder,
    Scales, Weight, Zero, ZeroRule,
};
