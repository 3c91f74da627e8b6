//! Encodes K blocks for groups of 256 and more columns. Every sub-scale is 1 and every sub-minimum is the zero point, so
//! that `d * code - d * zero` equals the source exactly.
//!
//! Layouts: Q2_K to Q6_K in `ggml-common.h`.

use super::blocks::{Group, half_scale};
use crate::ggml::GgmlType;

/// Encodes one block; `None` if its integers or its scale do not fit.
pub(super) fn encode(ty: GgmlType, group: &Group<'_>, rounding: bool, out: &mut [u8]) -> Option<()> {
    let d = half_scale(group.scale, rounding)?.to_le_bytes();
    let zero = u8::try_from(group.zero).ok()?;
    let q = group.codes;
    out.fill(0);
    match ty {
        GgmlType::Q2_K => {
            (zero < 16 && q.iter().all(|&c| c < 4)).then_some(())?;
            out[..16].fill(1 | zero << 4);
            two_bits(|i| q[i], &mut out[16..80]);
            out[80..82].copy_from_slice(&d);
            out[82..].copy_from_slice(&d);
        }
        GgmlType::Q3_K => {
            let n = shifted(group, 4, 8)?;
            for i in 0..256 {
                out[i % 32] |= (n(i) >> 2) << (i / 32);
            }
            two_bits(|i| n(i) & 3, &mut out[32..96]);
            // Sixteen sub-scales of six bits, each 33, which means a factor of one: low nibbles, then high bit pairs.
            out[96..104].fill(0x11);
            out[104..108].fill(0xAA);
            out[108..].copy_from_slice(&d);
        }
        GgmlType::Q4_K | GgmlType::Q5_K => {
            let wide = ty == GgmlType::Q5_K;
            let limit = if wide { 32 } else { 16 };
            (zero < 64 && q.iter().all(|&c| c < limit)).then_some(())?;
            out[..2].copy_from_slice(&d);
            out[2..4].copy_from_slice(&d);
            // Eight sub-scales of 1 and eight sub-minima, six bits each. The first four of each are stored whole; the
            // last four as a low nibble here and two bits on top of the first four.
            out[4..8].fill(1);
            out[8..12].fill(zero | (zero >> 4) << 6);
            out[12..16].fill(1 | (zero & 15) << 4);
            let (high, low) = if wide { out[16..].split_at_mut(32) } else { out[16..].split_at_mut(0) };
            for (j, byte) in low.iter_mut().enumerate() {
                let first = j / 32 * 64 + j % 32;
                *byte = q[first] & 15 | q[first + 32] << 4;
            }
            for (l, byte) in high.iter_mut().enumerate() {
                *byte = (0..8).fold(0, |bits, k| bits | (q[k * 32 + l] >> 4) << k);
            }
        }
        GgmlType::Q6_K => {
            let n = shifted(group, 32, 64)?;
            for half in 0..2 {
                for l in 0..32 {
                    let at = |k: usize| n(half * 128 + k * 32 + l);
                    out[half * 64 + l] = at(0) & 15 | at(2) << 4;
                    out[half * 64 + l + 32] = at(1) & 15 | at(3) << 4;
                    out[128 + half * 32 + l] = (0..4).fold(0, |bits, k| bits | (at(k) >> 4) << (2 * k));
                }
            }
            out[192..208].fill(1);
            out[208..].copy_from_slice(&d);
        }
        _ => return None,
    }
    Some(())
}

/// The integers plus `offset`, if all of them are in `0..limit`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked first")]
fn shifted<'a>(group: &'a Group<'_>, offset: i16, limit: i16) -> Option<impl Fn(usize) -> u8 + 'a> {
    let n = move |i: usize| i16::from(group.codes[i]) - group.zero + offset;
    (0..256).all(|i| (0..limit).contains(&n(i))).then_some(move |i| n(i) as u8)
}

/// Packs two bits per element: 128 elements in 32 bytes; the four elements of a byte are 32 apart.
fn two_bits(n: impl Fn(usize) -> u8, out: &mut [u8]) {
    for (j, byte) in out.iter_mut().enumerate() {
        let first = j / 32 * 128 + j % 32;
        *byte = (0..4).fold(0, |bits, k| bits | n(first + 32 * k) << (2 * k));
    }
}
