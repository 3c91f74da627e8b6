//! The file with a model's predictions of a text, to which other models are compared.
//!
//! The format is little-endian: the magic; the size of the vocabulary, the tokens per chunk and the number of chunks as
//! `u32`; all tokens as `i32`; and for every position of a chunk that counts ([`counted`]) the natural logprobs of all
//! tokens as `f32`.

use std::io::{self, Read, Write};
use std::ops::Range;

use crate::engine::Token;

const MAGIC: [u8; 8] = *b"ggrunLP1";
/// Bytes before the tokens.
const HEAD: u64 = 20;

/// The positions of a chunk whose predictions of the next token count: the second half, except the last position.
#[must_use]
pub(super) fn counted(context: u32) -> Range<u32> {
    context / 2..context.saturating_sub(1)
}

/// Why a reference cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReferenceError {
    /// The file cannot be read or written.
    #[error("cannot read or write the reference")]
    Io(#[from] io::Error),
    /// The file has another format.
    #[error("not a reference file, expected `ggrunLP1` at its beginning")]
    Magic,
    /// The size of the file contradicts its header.
    #[error("the reference has {found} bytes, expected {expected}")]
    Length {
        /// The size of the file.
        found: u64,
        /// The size by its header.
        expected: u64,
    },
    /// A value is impossible.
    #[error("the reference is invalid: {what}")]
    Broken {
        /// What is wrong.
        what: &'static str,
    },
    /// The reference was made with other parameters.
    #[error("the reference has another {what}: {found}, expected {expected}")]
    Other {
        /// What differs.
        what: &'static str,
        /// The value of the reference.
        found: u64,
        /// The value of this measurement.
        expected: u64,
    },
    /// The reference was made with another text or tokenizer.
    #[error("the reference has another token at position {position} of the text")]
    Text {
        /// The first position that differs.
        position: usize,
    },
}

/// The sizes of a reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) vocab: u32,
    pub(super) context: u32,
    pub(super) chunks: u32,
}

impl Shape {
    /// The size of the file in bytes; `None` if it exceeds 2^64.
    fn bytes(self) -> Option<u64> {
        let tokens = u64::from(self.chunks).checked_mul(self.context.into())?;
        let rows = u64::from(self.chunks).checked_mul(counted(self.context).len() as u64)?;
        let logprobs = rows.checked_mul(u64::from(self.vocab).checked_mul(4)?)?;
        HEAD.checked_add(tokens.checked_mul(4)?)?.checked_add(logprobs)
    }
}

/// A reference that is read position by position.
#[derive(Debug)]
pub struct Reference<R> {
    input: R,
    row: Vec<u8>,
}

impl<R: Read> Reference<R> {
    /// Reads the header of a reference of `length` bytes, and checks that it was made with this text.
    pub(super) fn open(
        mut input: R,
        length: u64,
        shape: Shape,
        text: &[Token],
    ) -> Result<Self, ReferenceError> {
        let mut magic = [0; MAGIC.len()];
        input.read_exact(&mut magic).map_err(|_| ReferenceError::Magic)?;
        if magic != MAGIC {
            return Err(ReferenceError::Magic);
        }
        let mut number = || -> Result<u32, ReferenceError> {
            let mut bytes = [0; 4];
            input.read_exact(&mut bytes)?;
            Ok(u32::from_le_bytes(bytes))
        };
        let found = Shape { vocab: number()?, context: number()?, chunks: number()? };
        for (what, found, expected) in [
            ("vocabulary", found.vocab, shape.vocab),
            ("context", found.context, shape.context),
            ("number of chunks", found.chunks, shape.chunks),
        ] {
            if found != expected {
                let (found, expected) = (found.into(), expected.into());
                return Err(ReferenceError::Other { what, found, expected });
            }
        }
        let expected = shape.bytes().ok_or(ReferenceError::Broken { what: "too large" })?;
        if length != expected {
            return Err(ReferenceError::Length { found: length, expected });
        }
        for (position, token) in text.iter().enumerate() {
            let mut bytes = [0; 4];
            input.read_exact(&mut bytes)?;
            if i32::from_le_bytes(bytes) != token.0 {
                return Err(ReferenceError::Text { position });
            }
        }
        Ok(Self { input, row: vec![0; shape.vocab as usize * 4] })
    }

    /// The logprobs at the next position.
    pub(super) fn next(&mut self) -> Result<impl Iterator<Item = f32> + '_, ReferenceError> {
        self.input.read_exact(&mut self.row)?;
        let row = self.row.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        let mut sum = 0.0;
        for logprob in row.clone() {
            if logprob.is_nan() || logprob > 1e-3 {
                return Err(ReferenceError::Broken { what: "a logprob is above 0 or not a number" });
            }
            sum += f64::from(logprob).exp();
        }
        if (sum - 1.0).abs() > 1e-2 {
            return Err(ReferenceError::Broken { what: "the probabilities at a position do not sum to 1" });
        }
        Ok(row)
    }
}

/// Writes everything before the logprobs.
pub(super) fn write_head(out: &mut impl Write, shape: Shape, text: &[Token]) -> io::Result<()> {
    out.write_all(&MAGIC)?;
    for number in [shape.vocab, shape.context, shape.chunks] {
        out.write_all(&number.to_le_bytes())?;
    }
    text.iter().try_for_each(|token| out.write_all(&token.0.to_le_bytes()))
}

/// Writes the logprobs at one position.
pub(super) fn write_row(out: &mut impl Write, row: &[f32]) -> io::Result<()> {
    row.iter().try_for_each(|logprob| out.write_all(&logprob.to_le_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SHAPE: Shape = Shape { vocab: 2, context: 8, chunks: 1 };

    fn text() -> Vec<Token> {
        (0..8).map(|n| Token(n % 2)).collect()
    }

    fn file() -> Vec<u8> {
        let mut out = Vec::new();
        write_head(&mut out, SHAPE, &text()).unwrap();
        for _ in counted(8) {
            write_row(&mut out, &[0.25f32.ln(), 0.75f32.ln()]).unwrap();
        }
        out
    }

    fn read(bytes: &[u8], shape: Shape, text: &[Token]) -> Result<usize, ReferenceError> {
        let mut reference = Reference::open(bytes, bytes.len() as u64, shape, text)?;
        let mut values = 0;
        for _ in counted(shape.context) {
            values += reference.next()?.count();
        }
        Ok(values)
    }

    #[test]
    fn a_written_reference_is_read_back() {
        assert_eq!(counted(8), 4..7);
        assert_eq!(read(&file(), SHAPE, &text()).unwrap(), 6);
    }

    #[test]
    fn a_reference_with_other_parameters_is_refused_by_name() {
        let refused = |shape, text: &[Token]| read(&file(), shape, text).unwrap_err().to_string();
        assert!(refused(Shape { vocab: 3, ..SHAPE }, &text()).contains("vocabulary"));
        assert!(refused(Shape { context: 16, ..SHAPE }, &text()).contains("context"));
        let mut other = text();
        other[3] = Token(0);
        assert!(refused(SHAPE, &other).contains("position 3"));
        let mut bytes = file();
        let end = bytes.len() - 4;
        bytes[end..].copy_from_slice(&f32::NAN.to_le_bytes());
        assert!(read(&bytes, SHAPE, &text()).unwrap_err().to_string().contains("not a number"));
    }

    proptest! {
        #[test]
        fn truncated_and_damaged_files_are_refused_without_a_panic(cut in 0usize..76, at in 0usize..76, byte: u8) {
            let whole = file();
            prop_assert!(read(&whole[..cut.min(whole.len() - 1)], SHAPE, &text()).is_err());
            let mut bytes = whole.clone();
            let at = at.min(bytes.len() - 1);
            bytes[at] = byte;
            // In the header and the text, every change is detected.
            prop_assert!(bytes == whole || at >= 52 || read(&bytes, SHAPE, &text()).is_err());
            drop(read(&bytes, SHAPE, &text()));
        }
    }
}
