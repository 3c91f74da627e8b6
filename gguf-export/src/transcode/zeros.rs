//! Reads zero points in every layout.

use std::ops::RangeInclusive;

use super::task::{Task, at};
use super::unpack::{AWQ_ORDER, stream, word};
use crate::checkpoint::TensorId;
use crate::quant::{Int, Packing, Zero, ZeroRule};
use crate::{Error, Result};

/// Reads the zero points of the task's rows into `out`, row-major with groups fastest. Returns false if all are
/// `2^(bits - 1)`; `out` is then meaningless.
///
/// The stored zero points of a symmetric weight are checked once, with its first row.
pub(super) fn read(task: &Task<'_>, int: &Int, buffer: &mut Vec<u8>, out: &mut Vec<i16>) -> Result<bool> {
    let middle = 1 << (int.bits - 1);
    match int.zero {
        Zero::Middle { stored: Some(id) } if task.rows.start == 0 => {
            let is_awq = int.packing == Packing::Awq;
            let rule = if is_awq { ZeroRule::Awq } else { ZeroRule::Direct };
            // Writers of AWQ packing never subtract one.
            let allowed = if is_awq { middle..=middle } else { middle - 1..=middle };
            task.checkpoint.read_all(id, buffer)?;
            if !constant(buffer, int, at(task.weight.rows), allowed.clone()) {
                let all = 0..at(task.weight.rows);
                unpack(task, int, rule, buffer, all, out);
                if !allowed.clone().any(|stored| out.iter().all(|&z| z == stored)) {
                    return Err(differ(task, id, allowed));
                }
            }
            Ok(false)
        }
        Zero::Middle { .. } => Ok(false),
        Zero::Stored { tensor, rule } => {
            task.checkpoint.read_all(tensor, buffer)?;
            if rule == ZeroRule::MinusOne {
                let line = buffer.len() / at(int.groups).max(1);
                buffer.chunks_exact_mut(line).for_each(|l| add_one(l, int.bits));
            }
            unpack(task, int, rule, buffer, at(task.rows.start)..at(task.rows.end), out);
            Ok(true)
        }
    }
}

/// Fast check of the common case: returns true if every word has the pattern of one of the zero points in `allowed`.
fn constant(bytes: &[u8], int: &Int, rows: usize, mut allowed: RangeInclusive<i16>) -> bool {
    let lane = match int.bits {
        2 => 0x5555_5555u32,
        4 => 0x1111_1111,
        8 => 0x0101_0101,
        _ => return false,
    };
    rows.is_multiple_of(32 / int.bits as usize)
        && allowed.any(|zero| {
            let p = lane.wrapping_mul(u32::from(zero.unsigned_abs())).to_le_bytes();
            bytes.as_chunks::<4>().0.iter().all(|w| *w == p)
        })
}

fn differ(task: &Task<'_>, id: TensorId, allowed: RangeInclusive<i16>) -> Error {
    Error::Tensor {
        at: task.checkpoint.locate(id),
        found: "zero points are not constant or not in the middle, but the configuration declares the module symmetric".to_owned(),
        expected: format!("{} everywhere", allowed.rev().map(|zero| zero.to_string()).collect::<Vec<_>>().join(" or ")),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "codes have at most eight bits")]
fn unpack(
    task: &Task<'_>,
    int: &Int,
    rule: ZeroRule,
    bytes: &[u8],
    rows: std::ops::Range<usize>,
    out: &mut Vec<i16>,
) {
    let (groups, all) = (at(int.groups), at(task.weight.rows));
    out.clear();
    out.resize(rows.len() * groups, 0);
    let line = bytes.len() / 4 / groups.max(1);
    match rule {
        ZeroRule::Direct | ZeroRule::MinusOne => {
            for group in 0..groups {
                stream(
                    int.bits,
                    None,
                    all,
                    |w| word(bytes, group * line + w),
                    |row, z| {
                        if rows.contains(&row) {
                            out[(row - rows.start) * groups + group] = z as i16;
                        }
                    },
                );
            }
        }
        ZeroRule::Awq => {
            for group in 0..groups {
                let mut codes = vec![0; all];
                stream(int.bits, None, all, |w| word(bytes, group * line + w), |i, z| codes[i] = z as i16);
                for row in rows.clone() {
                    out[(row - rows.start) * groups + group] = codes[row / 8 * 8 + AWQ_ORDER[row % 8]];
                }
            }
        }
        ZeroRule::DownRows { per_word } => {
            for group in 0..groups {
                stream(
                    int.bits,
                    per_word,
                    all,
                    |w| word(bytes, w * groups + group),
                    |row, z| {
                        if rows.contains(&row) {
                            out[(row - rows.start) * groups + group] = z as i16;
                        }
                    },
                );
            }
        }
        ZeroRule::Bytes => {
            let middle = 1i16 << (int.bits - 1);
            for (i, z) in out.iter_mut().enumerate() {
                let place = if bytes.len() == 1 { 0 } else { rows.start * groups + i };
                *z = i16::from(bytes[place].cast_signed()) + middle;
            }
        }
    }
}

/// Adds one to every code of a line. If the width divides 32, the packer summed the codes of a word, and a zero point of
/// 0 borrowed from the next code: adding to the whole word restores both. Codes of three bits do so over three words;
/// codes of five to seven bits wrap separately.
fn add_one(line: &mut [u8], bits: u32) {
    let words = line.as_chunks_mut::<4>().0;
    match bits {
        2 | 4 | 8 => {
            let ones = u32::MAX / ((1 << bits) - 1);
            for w in words {
                *w = u32::from_le_bytes(*w).wrapping_add(ones).to_le_bytes();
            }
        }
        3 => {
            const ONES: u128 = ((1 << 96) - 1) / 7;
            for three in words.chunks_mut(3) {
                let mut bytes = [0; 16];
                bytes[..three.len() * 4].copy_from_slice(three.as_flattened());
                let sum = u128::from_le_bytes(bytes).wrapping_add(ONES).to_le_bytes();
                let len = three.len() * 4;
                three.as_flattened_mut().copy_from_slice(&sum[..len]);
            }
        }
        _ => {
            let count = words.len() * 32 / bits as usize;
            let mut bytes = vec![0u8; words.len() * 4 + 8];
            stream(
                bits,
                None,
                count,
                |w| u32::from_le_bytes(words[w]),
                |i, code| {
                    let first = i * bits as usize;
                    let wrapped = (code + 1) & ((1 << bits) - 1);
                    let spread = (u64::from(wrapped) << (first % 8)).to_le_bytes();
                    bytes[first / 8] |= spread[0];
                    bytes[first / 8 + 1] |= spread[1];
                },
            );
            let len = words.len() * 4;
            words.as_flattened_mut().copy_from_slice(&bytes[..len]);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn summed_zero_points_are_restored(bits in prop::sample::select(vec![2u32, 3, 4, 8]), zeros in proptest::collection::vec(any::<u8>(), 32)) {
            // Sums zero points less one as the packer does, over the shortest run of words that codes fill.
            let span = if bits == 3 { 96 } else { 32 };
            let per = (span / bits) as usize;
            let zeros: Vec<u32> = zeros.iter().map(|z| u32::from(*z) & ((1 << bits) - 1)).collect();
            let mut line = Vec::new();
            for chunk in zeros.chunks_exact(per) {
                let sum = chunk.iter().rev().fold(0i128, |sum, &z| (sum << bits) + i128::from(z) - 1);
                line.extend_from_slice(&sum.to_le_bytes()[..span as usize / 8]);
            }
            add_one(&mut line, bits);
            let count = zeros.len() / per * per;
            stream(bits, None, count, |w| word(&line, w), |i, z| assert_eq!(z, zeros[i]));
        }

        #[test]
        fn codes_of_five_to_seven_bits_wrap_separately(bits in 5u32..8, codes in proptest::collection::vec(any::<u8>(), 32)) {
            let mut line = vec![0u8; bits as usize * 4 + 1];
            for (i, c) in codes.iter().enumerate() {
                let first = i * bits as usize;
                let value = (u16::from(*c) & ((1 << bits) - 1)) << (first % 8);
                let [low, high] = value.to_le_bytes();
                line[first / 8] |= low;
                line[first / 8 + 1] |= high;
            }
            line.pop();
            add_one(&mut line, bits);
            stream(bits, None, 32, |w| word(&line, w), |i, z| {
                assert_eq!(z, (u32::from(codes[i]) + 1) & ((1 << bits) - 1));
            });
        }
    }
}
