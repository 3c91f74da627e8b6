//! ggml's tensor types: identifiers, block sizes and the reference decoder. Not here: encoding blocks.

mod decode;
#[cfg(test)]
mod golden;
mod types;

pub use decode::{DecodeError, block_scale, decode_row};
pub use types::GgmlType;
