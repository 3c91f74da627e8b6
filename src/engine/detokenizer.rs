//! Turns the bytes of tokens into text when characters are split over tokens.

use std::mem;
use std::str;

/// Collects bytes and returns whole characters.
///
/// However the bytes are split, the joined text is the lossy decoding of the joined bytes.
#[derive(Debug, Clone, Default)]
pub struct Detokenizer {
    pending: Vec<u8>,
}

impl Detokenizer {
    /// Takes more bytes and returns the text they complete.
    pub fn push(&mut self, bytes: &[u8]) -> String {
        self.pending.extend_from_slice(bytes);
        let pending = mem::take(&mut self.pending);
        let mut rest = pending.as_slice();
        let mut text = String::new();
        loop {
            match str::from_utf8(rest) {
                Ok(valid) => {
                    text.push_str(valid);
                    return text;
                }
                Err(error) => {
                    let (valid, bad) = rest.split_at(error.valid_up_to());
                    text.push_str(&String::from_utf8_lossy(valid));
                    let Some(skip) = error.error_len() else {
                        self.pending = bad.to_vec();
                        return text;
                    };
                    text.push(char::REPLACEMENT_CHARACTER);
                    rest = &bad[skip..];
                }
            }
        }
    }

    /// Whether the bytes so far end with a whole character.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.pending.is_empty()
    }

    /// Returns the rest when no more bytes come: an incomplete character is replaced.
    pub fn finish(&mut self) -> String {
        String::from_utf8_lossy(&mem::take(&mut self.pending)).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn in_chunks(bytes: &[u8], cuts: &[usize]) -> String {
        let mut detokenizer = Detokenizer::default();
        let mut text = String::new();
        let mut from = 0;
        for &cut in cuts.iter().chain([&bytes.len()]) {
            let to = cut.clamp(from, bytes.len());
            text += &detokenizer.push(&bytes[from..to]);
            from = to;
        }
        text + &detokenizer.finish()
    }

    #[test]
    fn a_split_character_appears_when_it_is_whole() {
        let mut detokenizer = Detokenizer::default();
        assert_eq!(detokenizer.push(&[b'a', 0xf0, 0x9f]), "a");
        assert!(!detokenizer.is_whole());
        assert_eq!(detokenizer.push(&[0x98]), "");
        assert_eq!(detokenizer.push(&[0x80, b'b']), "\u{1f600}b");
        assert_eq!(detokenizer.finish(), "");
    }

    #[test]
    fn an_incomplete_character_is_replaced_once() {
        let mut detokenizer = Detokenizer::default();
        assert_eq!(detokenizer.push(&[0xe2, 0x82]), "");
        assert_eq!(detokenizer.finish(), "\u{fffd}");
    }

    proptest! {
        #[test]
        fn any_cut_of_any_bytes_gives_the_lossy_text(
            bytes in prop::collection::vec(any::<u8>(), 0..40),
            mut cuts in prop::collection::vec(0usize..40, 0..8),
        ) {
            cuts.sort_unstable();
            prop_assert_eq!(in_chunks(&bytes, &cuts), String::from_utf8_lossy(&bytes));
        }

        #[test]
        fn any_cut_of_a_text_gives_the_text(text in ".{0,12}", mut cuts in prop::collection::vec(0usize..48, 0..8)) {
            cuts.sort_unstable();
            prop_assert_eq!(in_chunks(text.as_bytes(), &cuts), text);
        }
    }
}
