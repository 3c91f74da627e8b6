//! The verification's own reading of a quantization configuration. It shares no code with the plan's (`quant`), so that
//! a mistake in one of them is found.
//!
//! Refusing unknown keys is left to the plan, without which nothing is verified.

mod agree;
mod read;
mod rules;
mod tool;
mod zeros;

pub(super) use agree::check;
pub use read::Reading;
