//! Decodes the small float formats by their definitions.

/// E4M3 without infinities: bias 7, only `0x7f` and `0xff` are NaN.
pub fn e4m3(code: u8) -> f64 {
    if code & 0x7f == 0x7f {
        return f64::NAN;
    }
    signed(code, minifloat(u32::from(code & 0x7f), 3, 7))
}

/// E5M2, as in IEEE 754: exponent 31 means infinity and NaN.
pub fn e5m2(code: u8) -> f64 {
    match code & 0x7f {
        0x7c => signed(code, f64::INFINITY),
        low @ 0..0x7c => signed(code, minifloat(u32::from(low), 2, 15)),
        _ => f64::NAN,
    }
}

/// Unsigned E5M3: bias 15, only `0xff` is NaN.
pub fn ue5m3(code: u8) -> f64 {
    if code == 0xff { f64::NAN } else { minifloat(u32::from(code), 3, 15) }
}

/// E2M1, the four-bit float of the MX and NV formats, in the low nibble.
pub fn e2m1(code: u8) -> f64 {
    let magnitude = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0][usize::from(code & 7)];
    if code & 8 == 0 { magnitude } else { -magnitude }
}

/// E8M0, the scale of the MX formats: `2^(code - 127)`.
pub fn e8m0(code: u8) -> f64 {
    2f64.powi(i32::from(code) - 127)
}

fn signed(code: u8, magnitude: f64) -> f64 {
    if code & 0x80 == 0 { magnitude } else { -magnitude }
}

fn minifloat(code: u32, mantissa_bits: u32, bias: i32) -> f64 {
    let steps = f64::from(1 << mantissa_bits);
    let (exponent, mantissa) = (code >> mantissa_bits, f64::from(code & ((1 << mantissa_bits) - 1)));
    match exponent {
        0 => mantissa / steps * 2f64.powi(1 - bias),
        _ => (1.0 + mantissa / steps) * 2f64.powi(exponent as i32 - bias),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_format_decodes_known_values() {
        assert_eq!([e4m3(0x7e), e4m3(0x01), e4m3(0x38)], [448.0, 1.0 / 512.0, 1.0]);
        assert_eq!([e5m2(0x7b), e5m2(0x01), e5m2(0xbc)], [57344.0, 1.0 / 65536.0, -1.0]);
        assert_eq!([ue5m3(0xfe), ue5m3(0x01), ue5m3(0x78)], [114_688.0, 1.0 / 131_072.0, 1.0]);
        assert_eq!([e2m1(7), e2m1(9), e8m0(127), e8m0(126)], [6.0, -0.5, 1.0, 0.5]);
        assert!(e4m3(0xff).is_nan() && e5m2(0x7d).is_nan() && ue5m3(0xff).is_nan());
        assert!(e4m3(0x80).is_sign_negative() && e2m1(8).is_sign_negative());
    }
}
