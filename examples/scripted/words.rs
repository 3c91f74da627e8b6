//! A vocabulary that gives each new piece of text the next number, so that counts of tokens are like those of a model.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use ggrun::engine::{Markup, Token, Vocab};

/// Characters of the longest piece.
const LONGEST: usize = 6;

/// Pieces of text, numbered as they occur. A piece is at most six letters or digits with a space before them, or any other
/// character.
#[derive(Debug, Default)]
pub(crate) struct Words(Mutex<Pieces>);

#[derive(Debug, Default)]
struct Pieces {
    texts: Vec<String>,
    numbers: BTreeMap<String, i32>,
}

/// The token that ends an answer. Pieces begin after it.
pub(crate) const END: Token = Token(0);

impl Words {
    /// The text of tokens.
    pub(crate) fn text(&self, tokens: &[Token]) -> String {
        let mut out = Vec::new();
        for token in tokens {
            self.write(*token, &mut out);
        }
        String::from_utf8_lossy(&out).into_owned()
    }

    /// The first token of a text, unless it is empty.
    pub(crate) fn first_of(&self, text: &str) -> Option<Token> {
        (!text.is_empty()).then(|| self.number(&text[..first_piece(text)]))
    }

    fn number(&self, piece: &str) -> Token {
        let mut pieces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(number) = pieces.numbers.get(piece) {
            return Token(*number);
        }
        pieces.texts.push(piece.to_owned());
        let number = i32::try_from(pieces.texts.len()).expect("fewer pieces than numbers");
        pieces.numbers.insert(piece.to_owned(), number);
        Token(number)
    }
}

impl Vocab for Words {
    fn size(&self) -> u32 {
        1 << 20
    }

    fn tokenize(&self, text: &str, _markup: Markup) -> Vec<Token> {
        let mut tokens = Vec::new();
        let mut rest = text;
        while let Some(token) = self.first_of(rest) {
            rest = &rest[first_piece(rest)..];
            tokens.push(token);
        }
        tokens
    }

    fn write(&self, token: Token, out: &mut Vec<u8>) {
        let pieces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let index = usize::try_from(token.0 - 1).ok();
        out.extend(index.and_then(|index| pieces.texts.get(index)).into_iter().flat_map(|text| text.bytes()));
    }

    fn ends_answer(&self, token: Token) -> bool {
        token == END
    }
}

/// Bytes of the first piece.
fn first_piece(text: &str) -> usize {
    let start = usize::from(text.starts_with(' '));
    let letters = text[start..].chars().take(LONGEST).take_while(|c| c.is_alphanumeric());
    let length = start + letters.map(char::len_utf8).sum::<usize>();
    length.max(text.chars().next().map_or(0, char::len_utf8))
}
