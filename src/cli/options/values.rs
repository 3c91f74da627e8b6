//! Values that are typed: sizes, and yes or no.

use std::str::FromStr as _;

/// `500M`, `8G`, `1000000`: powers of 1000, as llama.cpp's splitter counts.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let (number, unit) = match text.as_bytes().last().map(u8::to_ascii_uppercase) {
        Some(b'K') => (&text[..text.len() - 1], 1_000),
        Some(b'M') => (&text[..text.len() - 1], 1_000_000),
        Some(b'G') => (&text[..text.len() - 1], 1_000_000_000),
        _ => (text, 1),
    };
    let bytes = number.parse::<u64>().ok().and_then(|n| n.checked_mul(unit)).filter(|n| *n > 0);
    bytes.ok_or_else(|| "expected a number with K, M or G, such as 8G".to_owned())
}

/// `8`, `7.5G`, `800M`: binary units, as memory is sold, and GiB without one.
pub(crate) fn memory(text: &str) -> Result<u64, String> {
    let (number, unit) = match text.trim_end_matches("iB").trim_end_matches('B').chars().last() {
        Some('k' | 'K') => (1, 10),
        Some('m' | 'M') => (1, 20),
        Some('g' | 'G') => (1, 30),
        Some('t' | 'T') => (1, 40),
        _ => (0, 30),
    };
    let digits = text.trim_end_matches("iB").trim_end_matches('B');
    let size = f64::from_str(&digits[..digits.len() - number]).ok().filter(|size| (0.0..1e6).contains(size));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive and below 2^60")]
    #[expect(clippy::cast_precision_loss, reason = "a power of two")]
    let bytes = size.map(|size| (size * (1u64 << unit) as f64) as u64);
    bytes.ok_or_else(|| "expected a size, such as 8, 7.5G or 800M".to_owned())
}

/// llama.cpp's words for yes and no.
pub(crate) fn truth(text: &str) -> Result<bool, String> {
    match text {
        "on" | "enabled" | "true" | "1" => Ok(true),
        "off" | "disabled" | "false" | "0" => Ok(false),
        _ => Err("expected on or off".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        assert_eq!(size("8G"), Ok(8_000_000_000));
        assert_eq!(size("500m"), Ok(500_000_000));
        assert_eq!(size("7"), Ok(7));
        for wrong in ["", "0", "G", "-1", "1.5G", "99999999999G"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }
}
