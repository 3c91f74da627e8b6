//! The reference decoder: decodes each element separately, by the definition of its type.
//!
//! `verify` relies on this module, so it shares no code with `transcode`, and clarity comes before speed. Source of
//! the layouts: `ggml-common.h` of llama.cpp b11434.

use half::{bf16, f16};

use super::GgmlType;

/// Why bytes could not be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// There is no decoder for the type.
    #[error("{0} has no reference decoder")]
    NoDecoder(GgmlType),
    /// The number of bytes is not that of the elements.
    #[error("{bytes} bytes are not {elements} elements of {ty}")]
    Length {
        /// The type.
        ty: GgmlType,
        /// Number of bytes given.
        bytes: usize,
        /// Number of elements requested.
        elements: usize,
    },
}

/// Decodes `bytes`, a whole number of blocks, into `out`.
///
/// # Errors
/// [`DecodeError`] if the type has no decoder, or `bytes` is not exactly `out.len()` elements.
pub fn decode_row(ty: GgmlType, bytes: &[u8], out: &mut [f32]) -> Result<(), DecodeError> {
    if ty.row_bytes(out.len() as u64) != Some(bytes.len() as u64) {
        return Err(DecodeError::Length { ty, bytes: bytes.len(), elements: out.len() });
    }
    match ty {
        GgmlType::F32 => blocks::<4, 1>(bytes, out, |b, _| f32::from_le_bytes(*b)),
        GgmlType::F16 => blocks::<2, 1>(bytes, out, |b, _| f16::from_le_bytes(*b).to_f32()),
        GgmlType::BF16 => blocks::<2, 1>(bytes, out, |b, _| bf16::from_le_bytes(*b).to_f32()),
        GgmlType::Q4_0 => blocks::<18, 32>(bytes, out, q4_0),
        GgmlType::Q4_1 => blocks::<20, 32>(bytes, out, q4_1),
        GgmlType::Q5_0 => blocks::<22, 32>(bytes, out, q5_0),
        GgmlType::Q5_1 => blocks::<24, 32>(bytes, out, q5_1),
        GgmlType::Q8_0 => blocks::<34, 32>(bytes, out, q8_0),
        GgmlType::Q2_0 => blocks::<18, 64>(bytes, out, q2_0),
        GgmlType::Q2_K => blocks::<84, 256>(bytes, out, q2_k),
        GgmlType::Q3_K => blocks::<110, 256>(bytes, out, q3_k),
        GgmlType::Q4_K => blocks::<144, 256>(bytes, out, q4_k),
        GgmlType::Q5_K => blocks::<176, 256>(bytes, out, q5_k),
        GgmlType::Q6_K => blocks::<210, 256>(bytes, out, q6_k),
        GgmlType::MXFP4 => blocks::<17, 32>(bytes, out, mxfp4),
        GgmlType::NVFP4 => blocks::<36, 64>(bytes, out, nvfp4),
        _ => return Err(DecodeError::NoDecoder(ty)),
    }
    Ok(())
}

/// The scale `d` of one block, for types with one scale per block.
///
/// `None` for other types and if `block` does not have the size of a block.
#[must_use]
pub fn block_scale(ty: GgmlType, block: &[u8]) -> Option<f32> {
    if block.len() as u64 != ty.block_bytes() {
        return None;
    }
    match ty {
        GgmlType::Q4_0
        | GgmlType::Q4_1
        | GgmlType::Q5_0
        | GgmlType::Q5_1
        | GgmlType::Q8_0
        | GgmlType::Q2_0 => Some(half(block, 0)),
        GgmlType::MXFP4 => Some(e8m0(block[0])),
        _ => None,
    }
}

/// Calls `element(block, i)` for each element `i` of each block.
fn blocks<const BYTES: usize, const LEN: usize>(
    bytes: &[u8],
    out: &mut [f32],
    element: impl Fn(&[u8; BYTES], usize) -> f32,
) {
    let (blocks, _) = bytes.as_chunks::<BYTES>();
    for (block, out) in blocks.iter().zip(out.chunks_exact_mut(LEN)) {
        for (i, out) in out.iter_mut().enumerate() {
            *out = element(block, i);
        }
    }
}

// The literal sizes above agree with the type table.
const _: () = {
    const fn is(ty: GgmlType, bytes: u64, len: u64) -> bool {
        ty.block_bytes() == bytes && ty.block_len() == len
    }
    assert!(is(GgmlType::F32, 4, 1) && is(GgmlType::F16, 2, 1) && is(GgmlType::BF16, 2, 1));
    assert!(is(GgmlType::Q4_0, 2 + 16, 32) && is(GgmlType::Q4_1, 4 + 16, 32));
    assert!(is(GgmlType::Q5_0, 2 + 4 + 16, 32) && is(GgmlType::Q5_1, 4 + 4 + 16, 32));
    assert!(is(GgmlType::Q8_0, 2 + 32, 32) && is(GgmlType::Q2_0, 2 + 16, 64));
    assert!(is(GgmlType::Q2_K, 16 + 64 + 4, 256) && is(GgmlType::Q3_K, 32 + 64 + 12 + 2, 256));
    assert!(is(GgmlType::Q4_K, 4 + 12 + 128, 256) && is(GgmlType::Q5_K, 4 + 12 + 32 + 128, 256));
    assert!(is(GgmlType::Q6_K, 128 + 64 + 16 + 2, 256));
    assert!(is(GgmlType::MXFP4, 1 + 16, 32) && is(GgmlType::NVFP4, 4 + 32, 64));
};

// d, then 16 bytes: elements 0..16 are the low nibbles, 16..32 the high ones.
fn q4_0(b: &[u8; 18], i: usize) -> f32 {
    half(b, 0) * (f32::from(nibble(b, 2, i, 16)) - 8.0)
}

// d, m, then nibbles as in Q4_0.
fn q4_1(b: &[u8; 20], i: usize) -> f32 {
    half(b, 0) * f32::from(nibble(b, 4, i, 16)) + half(b, 2)
}

// d, one bit per element, then nibbles as in Q4_0.
fn q5_0(b: &[u8; 22], i: usize) -> f32 {
    half(b, 0) * (f32::from(nibble(b, 6, i, 16) | bit(b, 2, i) << 4) - 16.0)
}

// d, m, one bit per element, then nibbles as in Q4_0.
fn q5_1(b: &[u8; 24], i: usize) -> f32 {
    half(b, 0) * f32::from(nibble(b, 8, i, 16) | bit(b, 4, i) << 4) + half(b, 2)
}

// d, then 32 signed bytes.
fn q8_0(b: &[u8; 34], i: usize) -> f32 {
    half(b, 0) * f32::from(b[2 + i].cast_signed())
}

// d, then four elements per byte, lowest bits first.
fn q2_0(b: &[u8; 18], i: usize) -> f32 {
    let n = b[2 + i / 4] >> (2 * (i % 4)) & 3;
    half(b, 0) * (f32::from(n) - 1.0)
}

// 16 bytes of scale (low nibble) and minimum (high) per 16 elements, 64 bytes of codes, d, dmin.
fn q2_k(b: &[u8; 84], i: usize) -> f32 {
    let s = b[i / 16];
    let scale = half(b, 80) * f32::from(s & 15);
    let min = half(b, 82) * f32::from(s >> 4);
    scale * f32::from(crumb(b, 16, i)) - min
}

// 32 bytes of third bits, 64 bytes of codes, 12 bytes of 6-bit scales, d. A third bit of zero subtracts 4.
fn q3_k(b: &[u8; 110], i: usize) -> f32 {
    let third = b[i % 32] >> (i / 32) & 1;
    let n = f32::from(crumb(b, 32, i) | third << 2) - 4.0;
    let s = i / 16;
    let low = if s < 8 { b[96 + s] & 15 } else { b[96 + s - 8] >> 4 };
    let high = b[104 + s % 4] >> (2 * (s / 4)) & 3;
    half(b, 108) * (f32::from(low | high << 4) - 32.0) * n
}

// d, dmin, 12 bytes of 6-bit scales and minima, 128 bytes of nibbles.
fn q4_k(b: &[u8; 144], i: usize) -> f32 {
    let (scale, min) = scale_min(b, i);
    scale * f32::from(nibble64(b, 16, i)) - min
}

// d, dmin, 12 bytes of 6-bit scales and minima, 32 bytes of fifth bits, 128 bytes of nibbles.
fn q5_k(b: &[u8; 176], i: usize) -> f32 {
    let (scale, min) = scale_min(b, i);
    let fifth = b[16 + i % 32] >> (i / 32) & 1;
    scale * f32::from(nibble64(b, 48, i) | fifth << 4) - min
}

// 128 bytes of low nibbles, 64 bytes of high bit pairs, 16 signed scales, d. Halves of 128 elements.
fn q6_k(b: &[u8; 210], i: usize) -> f32 {
    let (half_no, r) = (i / 128, i % 128);
    let byte = b[64 * half_no + r % 64];
    let low = if r < 64 { byte & 15 } else { byte >> 4 };
    let high = b[128 + 32 * half_no + r % 32] >> (2 * (r / 32)) & 3;
    let scale = half(b, 208) * f32::from(b[192 + i / 16].cast_signed());
    scale * (f32::from(low | high << 4) - 32.0)
}

// A power-of-two scale, then nibbles as in Q4_0.
fn mxfp4(b: &[u8; 17], i: usize) -> f32 {
    e8m0(b[0]) * e2m1(nibble(b, 1, i, 16))
}

// Four scales, then 8 bytes for each group of 16 elements: low nibbles first.
fn nvfp4(b: &[u8; 36], i: usize) -> f32 {
    let sub = i / 16;
    ue4m3(b[sub]) * e2m1(nibble(b, 4 + 8 * sub, i % 16, 8))
}

fn half(b: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([b[at], b[at + 1]]).to_f32()
}

/// Element `i` of `run` bytes from `at`: the low nibbles are elements `0..run`, the high nibbles `run..2 * run`.
fn nibble(b: &[u8], at: usize, i: usize, run: usize) -> u8 {
    if i < run { b[at + i] & 15 } else { b[at + i - run] >> 4 }
}

/// Like [`nibble`], in runs of 32 bytes for 64 elements.
fn nibble64(b: &[u8], at: usize, i: usize) -> u8 {
    nibble(b, at + 32 * (i / 64), i % 64, 32)
}

/// The two bits of element `i`, in runs of 32 bytes for 128 elements: the lowest bit pairs are the first 32 elements.
fn crumb(b: &[u8], at: usize, i: usize) -> u8 {
    b[at + 32 * (i / 128) + i % 32] >> (2 * (i % 128 / 32)) & 3
}

fn bit(b: &[u8], at: usize, i: usize) -> u8 {
    b[at + i / 8] >> (i % 8) & 1
}

/// Scale and minimum of element `i` of a `Q4_K` or `Q5_K` block: eight pairs of 6 bits in bytes 4..16.
///
/// Pairs 0..4 are the low 6 bits of bytes 0..4 and 4..8; the rest have their low 4 bits in bytes 8..12 and
/// their high 2 bits on top of the first eight bytes.
fn scale_min(b: &[u8], i: usize) -> (f32, f32) {
    let k = |j: usize| b[4 + j];
    let j = i / 32;
    let (scale, min) = if j < 4 {
        (k(j) & 63, k(j + 4) & 63)
    } else {
        (k(j + 4) & 15 | k(j - 4) >> 6 << 4, k(j + 4) >> 4 | k(j) >> 6 << 4)
    };
    (half(b, 0) * f32::from(scale), half(b, 2) * f32::from(min))
}

/// `2^(e - 127)`; 255 is NaN as in the OCP specification, and llama.cpp rejects rows that contain it.
fn e8m0(e: u8) -> f32 {
    if e == 255 { f32::NAN } else { f32::from(i16::from(e) - 127).exp2() }
}

/// A sign bit, two exponent bits with bias 1, one mantissa bit. Code 8 is -0.0.
fn e2m1(code: u8) -> f32 {
    let magnitude = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0][usize::from(code & 7)];
    if code & 8 == 0 { magnitude } else { -magnitude }
}

/// Four exponent bits with bias 7, three mantissa bits; the top bit is ignored and 0x7F is zero.
fn ue4m3(x: u8) -> f32 {
    let (exponent, mantissa) = (x >> 3 & 15, f32::from(x & 7));
    match (exponent, x & 0x7F) {
        (_, 0x7F) => 0.0,
        (0, _) => mantissa / 512.0,
        _ => (1.0 + mantissa / 8.0) * (f32::from(exponent) - 7.0).exp2(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(ty: GgmlType, bytes: &[u8], n: usize) -> Vec<f32> {
        let mut out = vec![f32::NAN; n];
        decode_row(ty, bytes, &mut out).unwrap();
        out
    }

    fn bits(values: &[f32]) -> Vec<u32> {
        values.iter().map(|v| v.to_bits()).collect()
    }

    /// A block with the scale 0.5 in its first two bytes and the bytes of `set`, zero elsewhere.
    fn block(ty: GgmlType, set: &[(usize, u8)]) -> Vec<u8> {
        let mut b = vec![0; usize::try_from(ty.block_bytes()).unwrap()];
        b[1] = 0x38; // f16 0.5
        for &(at, byte) in set {
            b[at] = byte;
        }
        b
    }

    #[test]
    fn floats_are_decoded_unchanged() {
        assert_eq!(bits(&decode(GgmlType::F32, &(-1.5f32).to_le_bytes(), 1)), [(-1.5f32).to_bits()]);
        assert_eq!(bits(&decode(GgmlType::F16, &[0x01, 0x80], 1)), [(-(0.5f32.powi(24))).to_bits()]);
        assert_eq!(bits(&decode(GgmlType::BF16, &[0x80, 0x3F, 0x00, 0x80], 2)), bits(&[1.0, -0.0]));
    }

    #[test]
    fn q4_0_pairs_elements_sixteen_apart() {
        let out = decode(GgmlType::Q4_0, &block(GgmlType::Q4_0, &[(2, 0xF0), (17, 0x09)]), 32);
        assert_eq!(bits(&[out[0], out[16], out[15], out[31]]), bits(&[-4.0, 3.5, 0.5, -4.0]));
    }

    #[test]
    fn q5_0_takes_the_fifth_bit_from_the_mask() {
        let out = decode(GgmlType::Q5_0, &block(GgmlType::Q5_0, &[(2, 1), (5, 0x80), (21, 0xF3)]), 32);
        assert_eq!(bits(&[out[0], out[1], out[15], out[31]]), bits(&[0.0, -8.0, -6.5, 7.5]));
    }

    #[test]
    fn q4_1_and_q5_1_add_the_minimum() {
        let out = decode(GgmlType::Q4_1, &block(GgmlType::Q4_1, &[(3, 0xBC), (4, 0x30)]), 32);
        assert_eq!(bits(&[out[0], out[16]]), bits(&[-1.0, 0.5]));
        let out = decode(GgmlType::Q5_1, &block(GgmlType::Q5_1, &[(3, 0xBC), (4, 1), (8, 0x30)]), 32);
        assert_eq!(bits(&[out[0], out[16]]), bits(&[7.0, 0.5]));
    }

    #[test]
    fn q8_0_reaches_minus_128() {
        let out = decode(GgmlType::Q8_0, &block(GgmlType::Q8_0, &[(2, 0x80), (33, 0x7F)]), 32);
        assert_eq!(bits(&[out[0], out[1], out[31]]), bits(&[-64.0, 0.0, 63.5]));
    }

    #[test]
    fn q2_0_has_values_minus_one_to_two() {
        let out = decode(GgmlType::Q2_0, &block(GgmlType::Q2_0, &[(2, 0b11_10_01_00), (17, 0xC0)]), 64);
        assert_eq!(bits(&out[..4]), bits(&[-0.5, 0.0, 0.5, 1.0]));
        assert_eq!(bits(&out[62..]), bits(&[-0.5, 1.0]));
    }

    #[test]
    fn fp4_preserves_the_sign_of_zero() {
        let mut b = vec![0; 17];
        (b[0], b[1], b[16]) = (128, 0xF8, 0x7A);
        let out = decode(GgmlType::MXFP4, &b, 32);
        assert_eq!(bits(&[out[0], out[16], out[15], out[31]]), bits(&[-0.0, -12.0, -2.0, 12.0]));
    }

    #[test]
    fn e8m0_is_decoded_over_its_whole_range() {
        assert_eq!(e8m0(0).to_bits(), 0x0040_0000);
        assert_eq!(e8m0(1).to_bits(), 0x0080_0000);
        assert_eq!(e8m0(127).to_bits(), 1.0f32.to_bits());
        assert_eq!(e8m0(254).to_bits(), 0x7F00_0000);
        assert!(e8m0(255).is_nan());
    }

    #[test]
    fn nvfp4_has_one_scale_per_sixteen_elements() {
        let mut b = vec![0; 36];
        (b[0], b[3], b[4], b[35]) = (0x38, 0x01, 0x2F, 0x97);
        let out = decode(GgmlType::NVFP4, &b, 64);
        assert_eq!(bits(&[out[0], out[8]]), bits(&[-6.0, 1.0]));
        assert_eq!(bits(&[out[55], out[63]]), bits(&[6.0 / 512.0, -0.5 / 512.0]));
        assert_eq!(ue4m3(0x7F).to_bits(), 0);
        assert_eq!(ue4m3(0x7E).to_bits(), 448.0f32.to_bits());
    }

    #[test]
    fn wrong_lengths_and_types_without_a_decoder_are_refused() {
        let mut out = [0.0; 32];
        let short = decode_row(GgmlType::Q4_0, &[0; 17], &mut out);
        assert_eq!(short, Err(DecodeError::Length { ty: GgmlType::Q4_0, bytes: 17, elements: 32 }));
        assert!(decode_row(GgmlType::Q2_0, &[0; 18], &mut out).is_err());
        assert_eq!(
            decode_row(GgmlType::IQ4_NL, &[0; 18], &mut out),
            Err(DecodeError::NoDecoder(GgmlType::IQ4_NL))
        );
    }

    #[test]
    fn the_scale_is_read_for_types_with_one_per_block() {
        assert_eq!(block_scale(GgmlType::Q4_0, &block(GgmlType::Q4_0, &[])), Some(0.5));
        assert_eq!(block_scale(GgmlType::MXFP4, &[126; 17]), Some(0.5));
        assert_eq!(block_scale(GgmlType::Q4_0, &[0; 17]), None);
        assert_eq!(block_scale(GgmlType::Q4_K, &[0; 144]), None);
    }
}
