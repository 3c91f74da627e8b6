//! Blocks decoded to codes and scales instead of values: integers, where a value is `scale * integer`, and FP4 codes with
//! one-byte scales.
//!
//! A second decoder beside [`decode_row`](super::decode_row) for [`verify`](crate::verify), which compares most weights
//! as integers. It shares no code with `transcode`.

use half::f16;

use super::GgmlType;

/// Returns true for types of blocks with integers and one scale, which [`decode_integers`] decodes.
#[must_use]
pub fn has_integers(ty: GgmlType) -> bool {
    matches!(ty, GgmlType::Q4_0 | GgmlType::Q5_0 | GgmlType::Q8_0 | GgmlType::Q2_0)
}

/// Decodes a row of whole blocks into its integers and the scale of each block. Returns false, with undefined
/// contents, for types without [integers](has_integers) and if `bytes` is not exactly `integers.len()` elements.
#[must_use]
pub fn decode_integers(ty: GgmlType, bytes: &[u8], integers: &mut [i8], scales: &mut Vec<f32>) -> bool {
    scales.clear();
    if ty.row_bytes(integers.len() as u64) != Some(bytes.len() as u64) {
        return false;
    }
    match ty {
        GgmlType::Q4_0 => blocks::<18, 32>(bytes, integers, scales, q4_0),
        GgmlType::Q5_0 => blocks::<22, 32>(bytes, integers, scales, q5_0),
        GgmlType::Q8_0 => blocks::<34, 32>(bytes, integers, scales, q8_0),
        GgmlType::Q2_0 => blocks::<18, 64>(bytes, integers, scales, q2_0),
        _ => return false,
    }
    true
}

/// Decodes a row of whole blocks of MXFP4 or NVFP4 into its FP4 codes and the one-byte scales of each 32 or 16 elements.
/// Returns false, with undefined contents, for other types and if `bytes` is not exactly `codes.len()` elements.
#[must_use]
pub fn decode_fp4(ty: GgmlType, bytes: &[u8], codes: &mut [u8], scales: &mut Vec<u8>) -> bool {
    scales.clear();
    if ty.row_bytes(codes.len() as u64) != Some(bytes.len() as u64) {
        return false;
    }
    match ty {
        GgmlType::MXFP4 => {
            for (block, out) in bytes.as_chunks::<17>().0.iter().zip(codes.chunks_exact_mut(32)) {
                scales.push(block[0]);
                halves(&block[1..], out);
            }
        }
        GgmlType::NVFP4 => {
            for (block, out) in bytes.as_chunks::<36>().0.iter().zip(codes.chunks_exact_mut(64)) {
                scales.extend_from_slice(&block[..4]);
                for (bytes, out) in block[4..].chunks_exact(8).zip(out.chunks_exact_mut(16)) {
                    halves(bytes, out);
                }
            }
        }
        _ => return false,
    }
    true
}

/// The low nibbles, then the high ones.
fn halves(bytes: &[u8], out: &mut [u8]) {
    let (low, high) = out.split_at_mut(bytes.len());
    for ((byte, low), high) in bytes.iter().zip(low).zip(high) {
        (*low, *high) = (byte & 15, byte >> 4);
    }
}

fn blocks<const BYTES: usize, const LEN: usize>(
    bytes: &[u8],
    integers: &mut [i8],
    scales: &mut Vec<f32>,
    decode: impl Fn(&[u8; BYTES], &mut [i8; LEN]),
) {
    for (block, out) in bytes.as_chunks().0.iter().zip(integers.as_chunks_mut().0) {
        scales.push(f16::from_le_bytes([block[0], block[1]]).to_f32());
        decode(block, out);
    }
}

// Elements 0..16 are the low nibbles, 16..32 the high ones.
fn q4_0(block: &[u8; 18], out: &mut [i8; 32]) {
    let (low, high) = out.split_at_mut(16);
    for ((byte, low), high) in block[2..].iter().zip(low).zip(high) {
        *low = (byte & 15).cast_signed() - 8;
        *high = (byte >> 4).cast_signed() - 8;
    }
}

// A mask of fifth bits, then nibbles as in Q4_0.
fn q5_0(block: &[u8; 22], out: &mut [i8; 32]) {
    let fifth = u32::from_le_bytes([block[2], block[3], block[4], block[5]]);
    for (i, out) in out.iter_mut().enumerate() {
        let low = if i < 16 { block[6 + i] & 15 } else { block[6 + i - 16] >> 4 };
        *out = (low | u8::from(fifth >> i & 1 == 1) << 4).cast_signed() - 16;
    }
}

fn q8_0(block: &[u8; 34], out: &mut [i8; 32]) {
    for (byte, out) in block[2..].iter().zip(out) {
        *out = byte.cast_signed();
    }
}

// Four elements per byte, lowest bits first.
fn q2_0(block: &[u8; 18], out: &mut [i8; 64]) {
    for (byte, out) in block[2..].iter().zip(out.as_chunks_mut::<4>().0) {
        *out = [0, 2, 4, 6].map(|shift| (byte >> shift & 3).cast_signed() - 1);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{block_scale, decode_row};
    use super::*;

    const TYPES: [GgmlType; 4] = [GgmlType::Q4_0, GgmlType::Q5_0, GgmlType::Q8_0, GgmlType::Q2_0];

    proptest! {
        #[test]
        fn a_value_is_the_scale_times_the_integer(bytes in prop::collection::vec(any::<u8>(), 2 * 34)) {
            for ty in TYPES {
                let (len, size) = (usize::try_from(ty.block_len()).unwrap(), usize::try_from(ty.block_bytes()).unwrap());
                let bytes = &bytes[..2 * size];
                let (mut values, mut integers, mut scales) = (vec![0f32; 2 * len], vec![0i8; 2 * len], Vec::new());
                decode_row(ty, bytes, &mut values).unwrap();
                prop_assert!(has_integers(ty) && decode_integers(ty, bytes, &mut integers, &mut scales));
                for (i, (value, integer)) in values.iter().zip(&integers).enumerate() {
                    let scale = block_scale(ty, &bytes[i / len * size..][..size]).unwrap();
                    prop_assert_eq!(scales[i / len].to_bits(), scale.to_bits());
                    let product = scale * f32::from(*integer);
                    prop_assert!(product.to_bits() == value.to_bits() || product.is_nan() && value.is_nan());
                }
            }
        }
    }

    proptest! {
        #[test]
        fn equal_codes_and_scales_are_equal_values(scale in any::<u8>(), bytes in prop::collection::vec(any::<u8>(), 32)) {
            // Each element has the value that its code and its scale have in the first element of another block.
            for (ty, len, group) in [(GgmlType::MXFP4, 32, 32), (GgmlType::NVFP4, 64, 16)] {
                let size = usize::try_from(ty.block_bytes()).unwrap();
                let mut block = vec![scale; size];
                block[size - len / 2..].copy_from_slice(&bytes[..len / 2]);
                let (mut codes, mut scales, mut values) = (vec![0; len], Vec::new(), vec![0f32; len]);
                prop_assert!(decode_fp4(ty, &block, &mut codes, &mut scales));
                decode_row(ty, &block, &mut values).unwrap();
                for (i, value) in values.iter().enumerate() {
                    let mut one = vec![0; size];
                    one[0] = scales[i / group];
                    one[size - len / 2] = codes[i];
                    let mut expected = vec![0f32; len];
                    decode_row(ty, &one, &mut expected).unwrap();
                    prop_assert!(expected[0].to_bits() == value.to_bits() || expected[0].is_nan() && value.is_nan());
                }
            }
        }
    }

    #[test]
    fn other_types_and_lengths_have_no_integers() {
        let (mut out, mut scales) = ([0; 32], Vec::new());
        for (ty, size) in [(GgmlType::Q4_1, 20), (GgmlType::MXFP4, 17)] {
            assert!(!has_integers(ty) && !decode_integers(ty, &vec![0; size], &mut out, &mut scales));
        }
        assert!(!decode_integers(GgmlType::Q4_0, &[0; 17], &mut out, &mut scales));
        assert!(!decode_integers(GgmlType::Q2_0, &[0; 18], &mut out, &mut scales));
        let (mut out, mut scales) = ([0; 32], Vec::new());
        assert!(!decode_fp4(GgmlType::MXFP4, &[0; 18], &mut out, &mut scales));
        assert!(!decode_fp4(GgmlType::Q4_0, &[0; 18], &mut out, &mut scales));
    }
}
