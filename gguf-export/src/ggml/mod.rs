//! ggml's tensor types: identifiers, block sizes and the reference decoders. Not here: encoding blocks.

mod decode;
#[cfg(test)]
mod golden;
mod integers;
mod types;

pub use decode::{DecodeError, block_scale, decode_row};
pub use integers::{decode_fp4, decode_integers, has_integers};
pub use types::GgmlType;
