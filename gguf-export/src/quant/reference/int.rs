//! Decodes integer codes: `scale * (code - zero)`.

use std::ops::Range;

use super::rows::{Decoded, at, floats, nearest, read_all, read_rows};
use crate::checkpoint::{Checkpoint, TensorId};
use crate::quant::{Int, Packing, ScaleOrder, Weight, Zero, ZeroRule};
use crate::{Error, Result};

/// Position of output `8w + k` among the eight codes of AWQ word `w`.
const AWQ_PLACE: [usize; 8] = [0, 4, 1, 5, 2, 6, 3, 7];

pub(super) fn decode(
    checkpoint: &Checkpoint,
    weight: &Weight,
    int: &Int,
    rows: Range<u64>,
) -> Result<Decoded> {
    let columns = at(weight.columns);
    let codes = codes(checkpoint, weight, int, &rows)?;
    let groups = groups(checkpoint, weight, int)?;
    let zeros = Zeros::read(checkpoint, weight, int)?;
    let scales = floats(&read_all(checkpoint, int.scales.tensor)?, int.scales.dtype);
    let count = codes.len();
    let mut out = Decoded { values: Vec::with_capacity(count), scales: Vec::with_capacity(count) };
    for (line, row) in codes.chunks_exact(columns).zip(at(rows.start)..at(rows.end)) {
        let index = |group| scale_index(int, at(weight.rows), row, group, scales.len());
        let here: Vec<(f64, f64)> =
            (0..at(int.groups)).map(|g| (scales[index(g)], f64::from(zeros.get(row, g)))).collect();
        out.values.extend(line.iter().zip(&groups).map(|(&code, &group)| {
            let (scale, zero) = here[group];
            scale * (f64::from(code) - zero)
        }));
        out.scales.extend(groups.iter().map(|&group| nearest(here[group].0)));
    }
    Ok(out)
}

pub(super) fn scale_index(int: &Int, rows: usize, row: usize, group: usize, count: usize) -> usize {
    match int.scales.order {
        _ if count == 1 => 0,
        ScaleOrder::GroupMajor => group * rows + row,
        ScaleOrder::RowMajor => row * at(int.groups) + group,
    }
}

/// Unsigned codes, row-major.
pub(super) fn codes(
    checkpoint: &Checkpoint,
    weight: &Weight,
    int: &Int,
    rows: &Range<u64>,
) -> Result<Vec<i32>> {
    let columns = at(weight.columns);
    let count = at(rows.end - rows.start);
    let bits = int.bits as usize;
    let mut out = Vec::with_capacity(count * columns);
    match int.packing {
        Packing::Gptq => {
            let mut bytes = Vec::new();
            checkpoint.read_strip(int.codes, weight.rows * 4, rows.start * 4..rows.end * 4, &mut bytes)?;
            for line in 0..count {
                let words = bytes.chunks_exact(count * 4).map(|words| &words[line * 4..][..4]);
                let string = words.collect::<Vec<_>>().concat();
                out.extend((0..columns).map(|column| code(|k| string[k], column * bits, bits)));
            }
        }
        Packing::Awq => {
            // Eight codes of n bits fill n bytes.
            let (first, last) = (rows.start / 8, rows.end.div_ceil(8));
            let stride = at(last - first) * bits;
            let strip = first * u64::from(int.bits)..last * u64::from(int.bits);
            let mut bytes = Vec::new();
            checkpoint.read_strip(int.codes, weight.rows * u64::from(int.bits) / 8, strip, &mut bytes)?;
            for row in at(rows.start)..at(rows.end) {
                for column in 0..columns {
                    let place = (row / 8 - at(first)) * 8 + AWQ_PLACE[row % 8];
                    out.push(code(|k| bytes[column * stride + k], place * bits, bits));
                }
            }
        }
        Packing::RowMajor { per_word } => {
            let stride = checkpoint.info(int.codes).bytes / weight.rows;
            let bytes = read_rows(checkpoint, int.codes, stride, rows)?;
            for line in bytes.chunks_exact(at(stride)) {
                out.extend((0..columns).map(|i| code(|k| line[k], first_bit(i, bits, per_word), bits)));
            }
        }
        Packing::Bytes => {
            let bytes = read_rows(checkpoint, int.codes, weight.columns, rows)?;
            out.extend(bytes.iter().map(|&b| i32::from(b.cast_signed()) + 128));
        }
    }
    Ok(out)
}

/// Group of each column.
fn groups(checkpoint: &Checkpoint, weight: &Weight, int: &Int) -> Result<Vec<usize>> {
    let Some(id) = int.g_idx else {
        return Ok((0..at(weight.columns)).map(|c| c / at(int.group)).collect());
    };
    let bytes = read_all(checkpoint, id)?;
    let index = bytes.chunks_exact(4).map(|b| i32::from_le_bytes([b[0], b[1], b[2], b[3]]));
    index.map(|g| usize::try_from(g).ok().filter(|&g| g < at(int.groups))).collect::<Option<_>>().ok_or_else(
        || Error::Tensor {
            at: checkpoint.locate(id),
            found: "it contains a group out of range".to_owned(),
            expected: format!("0 to {}", int.groups.saturating_sub(1)),
        },
    )
}

/// Unsigned zero points.
pub(super) enum Zeros {
    All(i32),
    /// Row-major, groups fastest, with the number of groups.
    Each(Vec<i32>, usize),
}

impl Zeros {
    pub(super) fn get(&self, row: usize, group: usize) -> i32 {
        match self {
            Self::All(zero) => *zero,
            Self::Each(zeros, groups) => zeros.get(row * groups + group).copied().unwrap_or(zeros[0]),
        }
    }

    pub(super) fn read(checkpoint: &Checkpoint, weight: &Weight, int: &Int) -> Result<Self> {
        let middle = 1 << (int.bits - 1);
        let (tensor, rule) = match int.zero {
            Zero::Middle { stored: None } => return Ok(Self::All(middle)),
            Zero::Middle { stored: Some(id) } => {
                let is_awq = int.packing == Packing::Awq;
                let rule = if is_awq { ZeroRule::Awq } else { ZeroRule::Direct };
                let stored = stored(checkpoint, weight, int, id, rule)?;
                let same = |z: i32| stored.iter().all(|&s| s == z);
                if !same(middle) && (is_awq || !same(middle - 1)) {
                    let or_less = if is_awq { String::new() } else { format!(" or {}", middle - 1) };
                    return Err(Error::Tensor {
                        at: checkpoint.locate(id),
                        found: "zero points of a symmetric module are not constant or not in the middle"
                            .to_owned(),
                        expected: format!("{middle}{or_less} everywhere"),
                    });
                }
                return Ok(Self::All(middle));
            }
            Zero::Stored { tensor, rule } => (tensor, rule),
        };
        Ok(Self::Each(stored(checkpoint, weight, int, tensor, rule)?, at(int.groups)))
    }
}

fn stored(
    checkpoint: &Checkpoint,
    weight: &Weight,
    int: &Int,
    id: TensorId,
    rule: ZeroRule,
) -> Result<Vec<i32>> {
    let mut bytes = read_all(checkpoint, id)?;
    let (rows, groups, bits) = (at(weight.rows), at(int.groups), int.bits as usize);
    let stride = bytes.len() / groups.max(1);
    let mut out = Vec::with_capacity(rows * groups);
    if rule == ZeroRule::MinusOne {
        bytes.chunks_exact_mut(stride).for_each(|line| add_one_to_each(line, bits));
    }
    for row in 0..rows {
        for group in 0..groups {
            let line = &bytes[group * stride..];
            out.push(match rule {
                ZeroRule::Direct | ZeroRule::MinusOne => code(|k| line[k], row * bits, bits),
                ZeroRule::Awq => code(|k| line[k], (row / 8 * 8 + AWQ_PLACE[row % 8]) * bits, bits),
                ZeroRule::DownRows { per_word } => {
                    let byte = |k: usize| bytes[(k / 4) * groups * 4 + group * 4 + k % 4];
                    code(byte, first_bit(row, bits, per_word), bits)
                }
                ZeroRule::Bytes => match bytes.get(row * groups + group) {
                    Some(&b) => i32::from(b.cast_signed()) + (1 << (bits - 1)),
                    None => i32::from(bytes[0].cast_signed()) + (1 << (bits - 1)),
                },
            });
        }
    }
    Ok(out)
}

/// Adds one to every code of a line of words. Packers of 2, 3, 4 and 8 bits sum the codes, so a code of -1 borrows from
/// the next one and the addition must treat the words as one number. With 5 to 7 bits each code wraps separately.
fn add_one_to_each(line: &mut [u8], bits: usize) {
    match bits {
        2 | 4 | 8 => line.chunks_mut(4).for_each(|word| add_ones(word, bits)),
        3 => line.chunks_mut(12).for_each(|words| add_ones(words, bits)),
        _ => {
            let codes: Vec<i32> =
                (0..line.len() * 8 / bits).map(|i| code(|k| line[k], i * bits, bits)).collect();
            line.fill(0);
            for (i, c) in codes.into_iter().enumerate() {
                let c = (c + 1) % (1 << bits);
                for bit in 0..bits {
                    line[(i * bits + bit) / 8] |= u8::from(c >> bit & 1 != 0) << ((i * bits + bit) % 8);
                }
            }
        }
    }
}

/// Adds the number whose codes are all one, modulo the width of `bytes`.
fn add_ones(bytes: &mut [u8], bits: usize) {
    let mut carry = 0;
    for (k, byte) in bytes.iter_mut().enumerate() {
        let ones: u16 = (0..8).filter(|bit| (k * 8 + bit) % bits == 0).map(|bit| 1 << bit).sum();
        let sum = u16::from(*byte) + ones + carry;
        *byte = (sum & 0xFF) as u8;
        carry = sum >> 8;
    }
}

fn first_bit(index: usize, bits: usize, per_word: Option<u32>) -> usize {
    match per_word {
        None => index * bits,
        Some(n) => index / n as usize * 32 + index % n as usize * bits,
    }
}

/// The code of `bits` bits at bit `first` of a little-endian bit string; `byte` returns its bytes by index.
fn code(byte: impl Fn(usize) -> u8, first: usize, bits: usize) -> i32 {
    let mut value = i32::from(byte(first / 8)) >> (first % 8);
    if first % 8 + bits > 8 {
        value |= i32::from(byte(first / 8 + 1)) << (8 - first % 8);
    }
    value & ((1 << bits) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_cross_bytes_and_words() {
        // 32 codes of three bits: value n is n % 8, as one little-endian string of 96 bits.
        let mut bytes = [0u8; 12];
        for n in 0..32u8 {
            for bit in 0..3 {
                let place = usize::from(n) * 3 + bit;
                bytes[place / 8] |= ((n % 8) >> bit & 1) << (place % 8);
            }
        }
        assert!((0..32u8).all(|n| code(|k| bytes[k], usize::from(n) * 3, 3) == i32::from(n % 8)));
    }

    #[test]
    fn borrows_between_codes_are_undone() {
        // Zero points 0, 5, 0, 0, 9, 15, 1, 0, each less one, summed as by the packer.
        let zeros: [i32; 8] = [0, 5, 0, 0, 9, 15, 1, 0];
        let sum: i64 = zeros.iter().enumerate().map(|(i, z)| i64::from(z - 1) << (4 * i)).sum();
        let mut word: [u8; 4] = sum.to_le_bytes()[..4].try_into().unwrap();
        add_one_to_each(&mut word, 4);
        assert_eq!([0, 1, 2, 3, 4, 5, 6, 7].map(|i| code(|k| word[k], i * 4, 4)), zeros);
    }

    #[test]
    fn codes_of_five_bits_wrap_separately() {
        let mut line = [0u8; 20];
        line[0] = 0b1001_1111; // codes of five bits: 31, then the low bits 100 of a 4.
        add_one_to_each(&mut line, 5);
        assert_eq!(code(|k| line[k], 0, 5), 0);
        assert_eq!(code(|k| line[k], 5, 5), 5);
    }
}
