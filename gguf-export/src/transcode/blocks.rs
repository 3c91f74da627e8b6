//! Encodes blocks of integers with one F16 scale: Q2_0, Q4_0, Q5_0, Q8_0.
//!
//! A block holds `d * n` for `n` in a range around zero. If only the negated integers are in range, the scale is negated
//! instead.

use half::f16;

use crate::ggml::GgmlType;

/// The part of a group that goes into one block.
pub(super) struct Group<'a> {
    pub(super) codes: &'a [u8],
    pub(super) zero: i16,
    pub(super) scale: f32,
}

/// Encodes one block; `None` if its integers or its scale do not fit.
pub(super) fn encode(ty: GgmlType, group: &Group<'_>, rounding: bool, out: &mut [u8]) -> Option<()> {
    let (lo, hi) = match ty {
        GgmlType::Q2_0 => (-1, 2),
        GgmlType::Q4_0 => (-8, 7),
        GgmlType::Q5_0 => (-16, 15),
        GgmlType::Q8_0 => (-128, 127),
        _ => return None,
    };
    let least = i16::from(*group.codes.iter().min()?) - group.zero;
    let most = i16::from(*group.codes.iter().max()?) - group.zero;
    let negative = if least >= lo && most <= hi {
        false
    } else if -most >= lo && -least <= hi {
        true
    } else {
        return None;
    };
    let scale = half_scale(group.scale, rounding)?;
    let d = if negative { -scale } else { scale };
    out[..2].copy_from_slice(&d.to_le_bytes());
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the range was checked above; Q8_0 keeps two's complement"
    )]
    let n = |i: usize| {
        let v = i16::from(group.codes[i]) - group.zero;
        let v = if negative { -v } else { v };
        if ty == GgmlType::Q8_0 { v as u8 } else { (v - lo) as u8 }
    };
    let out = &mut out[2..];
    match ty {
        GgmlType::Q8_0 => out.iter_mut().enumerate().for_each(|(i, o)| *o = n(i)),
        GgmlType::Q2_0 => out.iter_mut().enumerate().for_each(|(j, o)| {
            *o = (0..4).fold(0, |byte, k| byte | n(4 * j + k) << (2 * k));
        }),
        GgmlType::Q5_0 => {
            let high = (0..32).fold(0u32, |bits, i| bits | u32::from(n(i) >> 4) << i);
            out[..4].copy_from_slice(&high.to_le_bytes());
            out[4..].iter_mut().enumerate().for_each(|(j, o)| *o = n(j) & 15 | n(j + 16) << 4);
        }
        _ => out.iter_mut().enumerate().for_each(|(j, o)| *o = n(j) | n(j + 16) << 4),
    }
    Some(())
}

/// The scale as F16; `None` if that is not exact, or with `rounding` not finite.
pub(super) fn half_scale(scale: f32, rounding: bool) -> Option<f16> {
    let half = f16::from_f32(scale);
    (half.is_finite() && (rounding || half.to_f32().to_bits() == scale.to_bits())).then_some(half)
}
