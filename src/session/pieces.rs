//! Tokenizes long texts in pieces. llama.cpp looks for each special token behind each other one up to the end of the text,
//! so the time for one text grows with the square of their number.

use aho_corasick::{AhoCorasick, MatchKind};

use crate::engine::{Markup, SpecialToken, Token, Vocab};

/// Special tokens in a piece.
const FEW: usize = 64;
/// Special tokens after which a piece ends even if that changes what a token does with the whitespace before it.
const MANY: usize = 16 * FEW;

/// Finds the ends of pieces.
#[derive(Debug)]
pub(super) struct Pieces {
    all: AhoCorasick,
    /// The special tokens of plain text. A cut at the text of another would change the tokens on both sides.
    always: AhoCorasick,
}

impl Pieces {
    /// Pieces by all special tokens of a vocabulary.
    pub(super) fn of(specials: &[SpecialToken]) -> Self {
        let finder = |is_found: fn(&SpecialToken) -> bool| {
            let found = specials.iter().filter(|special| !special.text.is_empty() && is_found(special));
            let texts = found.map(|special| &special.text);
            let finder = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(texts);
            finder.expect("the texts of a vocabulary fit into memory once more")
        };
        Self { all: finder(|_| true), always: finder(|special| special.always) }
    }

    /// Adds the tokens of a text, up to the piece with which there are more than `most`.
    pub(super) fn tokenize(
        &self,
        vocab: &dyn Vocab,
        text: &str,
        markup: Markup,
        most: usize,
        tokens: &mut Vec<Token>,
    ) {
        if tokens.len() > most {
            return;
        }
        let (mut begin, mut count) = (0, 0);
        let finder = match markup {
            Markup::Parsed => &self.all,
            Markup::Plain => &self.always,
        };
        for found in finder.find_iter(text) {
            let at = found.start();
            // Some tokens take the whitespace before them.
            let is_end = count >= FEW && !text[..at].ends_with(char::is_whitespace) || count >= MANY;
            if is_end {
                tokens.extend(vocab.tokenize(&text[begin..at], markup));
                (begin, count) = (at, 0);
                if tokens.len() > most {
                    return;
                }
            }
            count += 1;
        }
        if begin < text.len() {
            tokens.extend(vocab.tokenize(&text[begin..], markup));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    /// Records its texts. Its tokens are `<a>`, which is special, and bytes.
    #[derive(Default)]
    struct Recorded(Mutex<Vec<String>>);

    impl Vocab for Recorded {
        fn size(&self) -> u32 {
            257
        }

        fn tokenize(&self, text: &str, _: Markup) -> Vec<Token> {
            self.0.lock().unwrap().push(text.to_owned());
            let (mut rest, mut tokens) = (text.as_bytes(), Vec::new());
            while let [byte, after @ ..] = rest {
                let special = rest.strip_prefix(b"<a>");
                tokens.push(Token(if special.is_some() { 256 } else { i32::from(*byte) }));
                rest = special.unwrap_or(after);
            }
            tokens
        }

        fn write(&self, _: Token, _: &mut Vec<u8>) {}

        fn ends_answer(&self, _: Token) -> bool {
            false
        }
    }

    fn tokenize(text: &str, most: usize) -> (Vec<Token>, Vec<String>) {
        tokenize_as(text, Markup::Parsed, most)
    }

    /// With `<b>`, which is special except in plain text, as another token.
    fn tokenize_as(text: &str, markup: Markup, most: usize) -> (Vec<Token>, Vec<String>) {
        let vocab = Recorded::default();
        let special = |text: &str, always| SpecialToken { text: text.to_owned(), always };
        let pieces = Pieces::of(&[special("<a>", true), special("<b>", false)]);
        let mut tokens = Vec::new();
        pieces.tokenize(&vocab, text, markup, most, &mut tokens);
        (tokens, vocab.0.into_inner().unwrap())
    }

    #[test]
    fn plain_text_is_cut_only_at_tokens_that_it_can_contain() {
        for (text, parsed, plain) in [(".<b>", true, false), (".<a>", true, true), ("<b><a>", true, true)] {
            let text = text.repeat(200);
            for (markup, is_cut) in [(Markup::Parsed, parsed), (Markup::Plain, plain)] {
                let (_, pieces) = tokenize_as(&text, markup, usize::MAX);
                assert_eq!(pieces.len() > 1, is_cut, "{markup:?} {pieces:?}");
                assert_eq!(pieces.concat(), text);
                let is_begin = |piece: &String| markup == Markup::Parsed || piece.starts_with("<a>");
                assert!(pieces.iter().skip(1).all(is_begin), "{pieces:?}");
            }
        }
    }

    #[test]
    fn no_piece_has_many_special_tokens_and_together_they_are_the_text() {
        for (text, most) in [("<a>", FEW), ("hi<a>\n", FEW), ("x <a>", MANY), ("\n<a><a>", FEW + 1)] {
            let text = text.repeat(40_000);
            let (tokens, pieces) = tokenize(&text, usize::MAX);
            assert_eq!(tokens, Recorded::default().tokenize(&text, Markup::Parsed));
            assert_eq!(pieces.concat(), text);
            let count = pieces.iter().map(|piece| piece.matches("<a>").count()).max();
            assert!(count <= Some(most), "{count:?}");
        }
        let (_, pieces) = tokenize(&"x".repeat(100_000), usize::MAX);
        assert_eq!(pieces.len(), 1);
        assert_eq!(tokenize("", usize::MAX), (vec![], vec![]));
    }

    #[test]
    fn a_text_with_more_tokens_than_there_is_room_for_is_not_tokenized_to_its_end() {
        let (tokens, pieces) = tokenize(&"<a>".repeat(40_000), 1000);
        assert!(tokens.len() > 1000 && tokens.len() <= 1000 + FEW, "{}", tokens.len());
        assert_eq!(pieces.len(), 1000 / FEW + 1);
    }
}
