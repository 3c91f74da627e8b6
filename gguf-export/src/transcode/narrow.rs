//! Rounds F64 to BF16 and F16: to nearest, ties to even. The crate `half` reads only the upper 32 bits of an F64, or
//! rounds to F32 first, and so takes some values for ties.

use half::{bf16, f16};

use super::task::nearest;

pub(super) fn to_bf16(x: f64) -> bf16 {
    bf16::from_f32(to_odd(x))
}

pub(super) fn to_f16(x: f64) -> f16 {
    f16::from_f32(to_odd(x))
}

/// Of the two F32 around a value, the one whose last bit is odd. Rounding that to nearest gives the same result as
/// rounding the value directly. Boldo and Melquiond, "Emulation of FMA and correctly rounded sums: proved algorithms using
/// rounding to odd", 2008.
#[expect(clippy::float_cmp, reason = "exactness is the question")]
fn to_odd(x: f64) -> f32 {
    let near = nearest(x);
    if !near.is_finite() || f64::from(near) == x {
        return near;
    }
    let away_from_zero = f64::from(near).abs() > x.abs();
    f32::from_bits((near.to_bits() - u32::from(away_from_zero)) | 1)
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "the nearest value is one value")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Whether these bits are the nearest to a value, and even if a neighbour is equally near.
    fn is_nearest(x: f64, bits: u16, decode: impl Fn(u16) -> f64) -> bool {
        let error = (decode(bits) - x).abs();
        [bits.wrapping_add(1), bits.wrapping_sub(1)].into_iter().all(|other| {
            let others = (decode(other) - x).abs();
            others.is_nan() || others > error || (others == error && bits & 1 == 0)
        })
    }

    #[test]
    fn a_value_just_above_a_tie_is_rounded_up() {
        let above = |tie: f64| tie + 2f64.powi(-50);
        assert_eq!(to_bf16(above(1.0 + 2f64.powi(-8))).to_f64(), 1.0 + 2f64.powi(-7));
        assert_eq!(to_bf16(1.0 + 2f64.powi(-8)).to_f64(), 1.0);
        assert_eq!(to_f16(-above(1.0 + 2f64.powi(-11))).to_f64(), -1.0 - 2f64.powi(-10));
        assert_eq!(to_f16(-1.0 - 2f64.powi(-11)).to_f64(), -1.0);
        assert_eq!(to_bf16(f64::MAX).to_f64(), f64::INFINITY);
        assert!(to_f16(-1e-300).to_bits() == 0x8000 && to_bf16(f64::NAN).is_nan());
    }

    proptest! {
        /// Values of every magnitude that the types have; with the second and third mask, at and around ties.
        #[test]
        fn each_value_becomes_the_nearest(
            top in any::<u16>(),
            mask in prop::sample::select(vec![0xFFFF, 0xFF00, 0xFFE0]),
            low in prop::sample::select(vec![0u64, 1, 1 << 31, (1 << 32) - 1]),
            exponent in 1023u64 - 160..1023 + 16,
        ) {
            let x = f64::from_bits(exponent << 52 | u64::from(top & mask) << 36 | low);
            let (b, h) = (to_bf16(x), to_f16(x));
            prop_assert!(is_nearest(x, b.to_bits(), |bits| bf16::from_bits(bits).to_f64()), "{x:e} {b:e}");
            if h.is_finite() {
                prop_assert!(is_nearest(x, h.to_bits(), |bits| f16::from_bits(bits).to_f64()), "{x:e} {h:e}");
            }
        }
    }
}
