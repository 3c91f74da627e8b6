//! What a ggml block is: types, sizes and the reference decoder. Not here: how a block is made.

mod decode;
#[cfg(test)]
mod golden;
mod types;

pub use decode::{DecodeError, block_scale, decode_row};
pub use types::GgmlType;
