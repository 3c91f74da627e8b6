//! Bit streams: code `n` is at bit `n * width` of a little-endian string of words.

/// Packs `codes` of `width` bits each; the last word is padded with zeros.
pub fn pack(codes: &[u32], width: u32) -> Vec<u32> {
    let mut words = vec![0u32; (codes.len() * width as usize).div_ceil(32)];
    for (n, code) in codes.iter().enumerate() {
        assert!(u64::from(*code) < 1 << width, "code {code} has more than {width} bits");
        for bit in 0..width as usize {
            let at = n * width as usize + bit;
            words[at / 32] |= (code >> bit & 1) << (at % 32);
        }
    }
    words
}

/// Packs as many whole codes per word as fit, leaving the top bits of each word unused.
pub fn pack_whole(codes: &[u32], width: u32) -> Vec<u32> {
    codes.chunks((32 / width) as usize).map(|chunk| pack(chunk, width)[0]).collect()
}

/// Subtracts one from each of the first `count` codes of a packed stream by subtracting from whole words (from three words
/// at once for widths that cross words), so that a code of zero borrows from the next code.
pub fn subtract_ones(words: &mut [u32], count: usize, width: u32) {
    let ones = pack(&vec![1; count], width);
    // The shortest run of whole words: one word, or `width` words if codes cross words.
    let run = if 32 % width == 0 { 1 } else { width as usize };
    for (words, ones) in words.chunks_mut(run).zip(ones.chunks(run)) {
        let mut borrow = false;
        for (word, one) in words.iter_mut().zip(ones) {
            let (less, first) = word.overflowing_sub(*one);
            let (less, second) = less.overflowing_sub(u32::from(borrow));
            (*word, borrow) = (less, first || second);
        }
    }
}

/// The bytes of 32-bit words, little-endian as in safetensors.
pub fn bytes(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constant_streams_match_known_words() {
        for (width, code, word) in [
            (2, 2, 0xaaaa_aaaa),
            (3, 4, 0x2492_4924),
            (3, 3, 0xdb6d_b6db),
            (4, 8, 0x8888_8888),
            (4, 7, 0x7777_7777),
            (8, 127, 0x7f7f_7f7f),
        ] {
            assert_eq!(pack(&[code; 32], width)[0], word, "{width} bits of {code}");
        }
    }

    #[test]
    fn three_bit_codes_cross_words_low_bits_first() {
        let mut codes = [0; 32];
        (codes[10], codes[21]) = (0b101, 0b011);
        let words = pack(&codes, 3);
        assert_eq!(words, [0b01 << 30, 1 | 1 << 31, 0b01]);
    }

    #[test]
    fn a_zero_code_borrows_only_within_its_word() {
        let mut words = pack(&[0, 5, 3, 3, 3, 3, 3, 0, 9, 9, 9, 9, 9, 9, 9, 9], 4);
        subtract_ones(&mut words, 16, 4);
        assert_eq!(words, [0xf222_223f, 0x8888_8888]);
    }

    #[test]
    fn whole_codes_leave_the_top_bits_unused() {
        assert_eq!(pack_whole(&[31; 7], 5), [0x3fff_ffff, 31]);
    }
}
