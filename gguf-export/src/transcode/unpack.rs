//! Unpacks integer codes of any width from words.

/// Calls `f` with index and value of each of the first `count` codes of a stream of words. The stream is dense, or has
/// `per_word` codes in the low bits of each word.
#[expect(clippy::cast_possible_truncation, reason = "the mask keeps the low bits only")]
pub(super) fn stream(
    bits: u32,
    per_word: Option<u32>,
    count: usize,
    word: impl Fn(usize) -> u32,
    mut f: impl FnMut(usize, u32),
) {
    let mask = (1u32 << bits) - 1;
    if let Some(each) = per_word.or_else(|| 32u32.is_multiple_of(bits).then_some(32 / bits)) {
        let each = each as usize;
        for first in (0..count).step_by(each) {
            let mut rest = word(first / each);
            for i in first..count.min(first + each) {
                f(i, rest & mask);
                rest = rest.checked_shr(bits).unwrap_or(0);
            }
        }
        return;
    }
    let (mut window, mut available, mut next) = (0u64, 0, 0);
    for i in 0..count {
        if available < bits {
            window |= u64::from(word(next)) << available;
            available += 32;
            next += 1;
        }
        f(i, window as u32 & mask);
        window >>= bits;
        available -= bits;
    }
}

/// Position of output `8w + k` among the eight codes of AWQ word `w`.
pub(super) const AWQ_ORDER: [usize; 8] = [0, 4, 1, 5, 2, 6, 3, 7];

/// The little-endian word at `index`.
pub(super) fn word(bytes: &[u8], index: usize) -> u32 {
    let b = &bytes[index * 4..index * 4 + 4];
    u32::from_le_bytes([b[0], b[1], b[2], b[3]])
}
