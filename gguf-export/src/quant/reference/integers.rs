//! Integer weights as integers and scales, without the value of each weight: `verify` compares most weights so.

use std::ops::Range;

use super::int::{Zeros, codes, scale_index};
use super::rows::{at, floats, nearest, read_all};
use crate::Result;
use crate::checkpoint::Checkpoint;
use crate::quant::{Coding, Packing, Weight};

/// Rows whose words are unpacked together: those of a cache line.
const ROWS: usize = 16;
/// Lines of words that are unpacked together.
const LINES: usize = 8;

/// Rows of a weight whose values are `scale * (code - zero)`.
#[derive(Debug)]
pub struct Integers {
    columns: usize,
    rows: usize,
    groups: usize,
    group: usize,
    codes: Codes,
    /// Row-major, groups fastest.
    scales: Vec<f32>,
    /// Row-major, groups fastest.
    zeros: Vec<u8>,
}

#[derive(Debug)]
enum Codes {
    /// One byte per code, row-major.
    Bytes(Vec<u8>),
    /// Lines of little-endian words, one word per row, each with eight codes of four bits.
    Nibbles(Vec<u8>),
    /// Lines of little-endian words, one word per row, each with four codes of eight bits.
    Octets(Vec<u8>),
}

impl Integers {
    /// Reads rows of a weight. Returns `None` for encodings other than integers with a zero point, for columns that are
    /// not in the order of their groups, and for zero points with which an integer may not fit an `i8`.
    ///
    /// # Errors
    /// As [`decode`](super::decode).
    pub fn read(checkpoint: &Checkpoint, weight: &Weight, rows: Range<u64>) -> Result<Option<Self>> {
        let Coding::Int(int) = &weight.coding else { return Ok(None) };
        if int.g_idx.is_some() {
            return Ok(None);
        }
        let (columns, groups) = (at(weight.columns), at(int.groups));
        let stored = floats(&read_all(checkpoint, int.scales.tensor)?, int.scales.dtype);
        let zero_points = Zeros::read(checkpoint, weight, int)?;
        let (mut scales, mut zeros) = (Vec::new(), Vec::new());
        // Below eight bits, codes and zero points are below 128, and so are their differences.
        let is_byte = int.bits == 8 || int.packing == Packing::Bytes;
        let fits = |zero: &u8| if is_byte { *zero == 128 } else { *zero < 128 };
        for row in at(rows.start)..at(rows.end) {
            for group in 0..groups {
                let Some(zero) = u8::try_from(zero_points.get(row, group)).ok().filter(fits) else {
                    return Ok(None);
                };
                zeros.push(zero);
                scales.push(nearest(stored[scale_index(int, at(weight.rows), row, group, stored.len())]));
            }
        }
        let words = || -> Result<Vec<u8>> {
            let mut bytes = Vec::new();
            checkpoint.read_strip(int.codes, weight.rows * 4, rows.start * 4..rows.end * 4, &mut bytes)?;
            Ok(bytes)
        };
        let codes = match (int.packing, int.bits) {
            (Packing::Gptq, 4) => Codes::Nibbles(words()?),
            (Packing::Gptq, 8) => Codes::Octets(words()?),
            _ => {
                let codes = codes(checkpoint, weight, int, &rows)?;
                Codes::Bytes(codes.iter().map(|code| code.to_le_bytes()[0]).collect())
            }
        };
        let (rows, group) = (at(rows.end - rows.start), at(int.group));
        Ok(Some(Self { columns, rows, groups, group, codes, scales, zeros }))
    }

    /// Number of columns.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Columns that share a scale, or all columns of a row if there is one group.
    #[must_use]
    pub fn group(&self) -> usize {
        if self.groups == 1 { self.columns } else { self.group }
    }

    /// The scales of a row.
    #[must_use]
    pub fn scales(&self, row: usize) -> &[f32] {
        &self.scales[row * self.groups..][..self.groups]
    }

    /// Returns true if `is_equal` is true for the index and the integers of each row. Stops at the first that differs.
    pub fn all_rows(&self, mut is_equal: impl FnMut(usize, &[i8]) -> bool) -> bool {
        let mut block = vec![0; ROWS * self.columns];
        let mut integers = vec![0; self.columns];
        for first in (0..self.rows).step_by(ROWS) {
            let rows = first..self.rows.min(first + ROWS);
            self.unpack(rows.clone(), &mut block);
            for (row, codes) in rows.zip(block.chunks_exact(self.columns)) {
                let zeros = &self.zeros[row * self.groups..];
                let groups = integers.chunks_mut(self.group()).zip(codes.chunks(self.group()));
                for ((integers, codes), &zero) in groups.zip(zeros) {
                    for (integer, code) in integers.iter_mut().zip(codes) {
                        *integer = code.wrapping_sub(zero).cast_signed();
                    }
                }
                if !is_equal(row, &integers) {
                    return false;
                }
            }
        }
        true
    }

    /// Writes the codes of some rows, one byte per code.
    fn unpack(&self, rows: Range<usize>, out: &mut [u8]) {
        match &self.codes {
            Codes::Bytes(codes) => {
                let codes = &codes[rows.start * self.columns..rows.end * self.columns];
                out[..codes.len()].copy_from_slice(codes);
            }
            Codes::Nibbles(lines) => self.unpack_words(lines, rows, out, nibbles),
            Codes::Octets(lines) => self.unpack_words(lines, rows, out, |word| word),
        }
    }

    fn unpack_words<const CODES: usize>(
        &self,
        lines: &[u8],
        rows: Range<usize>,
        out: &mut [u8],
        codes: impl Fn([u8; 4]) -> [u8; CODES],
    ) {
        let lines = lines.as_chunks::<4>().0;
        for (number, part) in lines.chunks(LINES * self.rows).enumerate() {
            let first = number * LINES * CODES;
            for (row, out) in rows.clone().zip(out.chunks_exact_mut(self.columns)) {
                let words = part.iter().skip(row).step_by(self.rows);
                // The last words may have more codes than there are columns.
                for (word, out) in words.zip(out[first.min(self.columns)..].chunks_mut(CODES)) {
                    let codes = codes(*word);
                    match out.as_mut_array::<CODES>() {
                        Some(out) => *out = codes,
                        None => out.copy_from_slice(&codes[..out.len()]),
                    }
                }
            }
        }
    }
}

/// Eight codes of four bits, the lowest first, as bytes.
fn nibbles(word: [u8; 4]) -> [u8; 8] {
    let mut codes = u64::from(u32::from_le_bytes(word));
    codes = (codes | codes << 16) & 0x0000_FFFF_0000_FFFF;
    codes = (codes | codes << 8) & 0x00FF_00FF_00FF_00FF;
    codes = (codes | codes << 4) & 0x0F0F_0F0F_0F0F_0F0F;
    codes.to_le_bytes()
}
