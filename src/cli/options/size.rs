//! Sizes in bytes, as they are typed: `8G`, `7.5GiB`, `800M`. The one parser for all options; units are binary.

/// The meaning of a number without a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bare {
    /// Refuse it, unless it is 0.
    Refuse,
    /// Count MiB, as llama.cpp does for the option of this name.
    Mebibytes,
}

/// Parses a size that needs a unit. 0 needs none.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    parse(text, Bare::Refuse)
}

/// Parses a size above 0 that needs a unit.
pub(crate) fn some_size(text: &str) -> Result<u64, String> {
    match size(text)? {
        0 => Err("expected a size above 0, such as 8G".to_owned()),
        bytes => Ok(bytes),
    }
}

/// Parses a size for which llama.cpp takes a number of MiB: a number without a unit is MiB.
pub(crate) fn mebibytes(text: &str) -> Result<u64, String> {
    parse(text, Bare::Mebibytes)
}

fn parse(text: &str, bare: Bare) -> Result<u64, String> {
    let expected = || "expected a size, such as 8G, 7.5GiB or 800M".to_owned();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if whole.is_empty() || fraction.is_empty() || fraction.len() > MOST_DIGITS || fraction.contains('.') {
        return Err(expected());
    }
    let parse = |digits: &str| digits.parse::<u64>().ok();
    let (whole, part) = parse(whole).zip(parse(fraction)).ok_or_else(expected)?;
    let shift = match (shift(unit), bare) {
        (Some(shift), _) => shift,
        (None, Bare::Mebibytes) if unit.is_empty() => 20,
        (None, _) if unit.is_empty() && whole == 0 && part == 0 => 0,
        (None, _) if unit.is_empty() => return Err(format!("expected a unit, such as {text}G or {text}M")),
        (None, _) => return Err(expected()),
    };
    let scale = 10u128.pow(u32::try_from(fraction.len()).unwrap_or(0));
    // Below 2^64 * 2^40 + 10^12 * 2^40, which a u128 holds.
    let bytes = (u128::from(whole) << shift) + (u128::from(part) << shift) / scale;
    u64::try_from(bytes)
        .ok()
        .filter(|bytes| *bytes <= MOST)
        .ok_or_else(|| "expected at most 1048576T".to_owned())
}

/// Digits after the decimal point.
const MOST_DIGITS: usize = 12;
/// The largest size, which leaves room for sums: 1 EiB.
const MOST: u64 = 1 << 60;

/// The power of two that a unit stands for.
fn shift(unit: &str) -> Option<u32> {
    let unit = unit.to_ascii_lowercase();
    let prefix = unit.strip_suffix("ib").or_else(|| unit.strip_suffix('b')).unwrap_or(&unit);
    match prefix {
        "k" => Some(10),
        "m" => Some(20),
        "g" => Some(30),
        "t" => Some(40),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn units_are_binary_however_they_are_written() {
        for text in ["8G", "8g", "8GB", "8GiB", "8.0G", "8192M", "8388608KiB"] {
            assert_eq!(size(text), Ok(8 << 30), "{text}");
        }
        assert_eq!((size("7.5G"), size("1T"), size("0")), (Ok(15 << 29), Ok(1 << 40), Ok(0)));
    }

    #[test]
    fn a_bare_number_is_refused_or_counts_mebibytes() {
        assert_eq!(size("8").unwrap_err(), "expected a unit, such as 8G or 8M");
        assert_eq!(
            (mebibytes("512"), mebibytes("512M"), mebibytes("1G")),
            (Ok(512 << 20), Ok(512 << 20), Ok(1 << 30))
        );
        assert!(some_size("0").is_err());
        assert!(some_size("0G").is_err());
    }

    #[test]
    fn other_text_is_refused() {
        for wrong in [
            "",
            "G",
            ".5G",
            "5.G",
            "-1G",
            "1e3G",
            "1 G",
            "8X",
            "8GiBs",
            "8iB",
            "8B",
            "1..2G",
            "1.2.3G",
            "99999999T",
        ] {
            assert!(parse(wrong, Bare::Refuse).is_err(), "{wrong}");
            assert!(parse(wrong, Bare::Mebibytes).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn a_whole_number_of_a_unit_is_read_exactly(n in 0u64..1 << 20, unit in 0usize..4, tail in 0usize..3) {
            let text = format!("{n}{}{}", ["K", "M", "G", "T"][unit], ["", "B", "iB"][tail]);
            prop_assert_eq!(size(&text), Ok(n << (10 * (unit + 1))));
        }

        #[test]
        fn a_size_shown_in_a_unit_is_read_again(bytes in 0u64..1 << 50) {
            // Two digits after the decimal point are shown.
            let shown = indicatif::BinaryBytes(bytes).to_string().replace(' ', "");
            prop_assume!(!shown.ends_with('B') || shown.contains('i'));
            prop_assume!(!shown.contains('P'));
            let read = size(&shown).unwrap();
            prop_assert!(read.abs_diff(bytes) <= bytes / 50 + 1, "{} {}", shown, read);
        }

        #[test]
        fn no_text_makes_it_panic(text in "[0-9.kKMGTiB -]{0,24}|\\PC{0,24}") {
            drop((size(&text), mebibytes(&text), some_size(&text)));
        }
    }
}
