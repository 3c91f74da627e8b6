//! Hashes of the beginnings of a sequence: one for each 256 tokens, and one for all of it. Files are compared by these
//! without their tokens.

use sha2::{Digest as _, Sha256};

use crate::engine::Token;

/// Tokens of a block.
pub(super) const BLOCK: usize = 256;

/// A hash of all tokens up to some length.
pub(super) type Hash = [u8; 16];

/// The hashes of a sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Blocks {
    /// The hash of the beginning that ends with each whole block.
    ends: Vec<Hash>,
    /// The hash of all tokens.
    whole: Hash,
    length: usize,
}

impl Blocks {
    /// The hashes of these tokens.
    pub(super) fn of(tokens: &[Token]) -> Self {
        Prefixes::of(tokens).blocks(tokens.len())
    }

    /// Tokens of the sequence.
    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// The hash of all tokens.
    pub(super) fn whole(&self) -> Hash {
        self.whole
    }
}

/// A sequence with the hashes of its blocks, which is compared with others.
#[derive(Debug)]
pub(super) struct Prefixes<'a> {
    tokens: &'a [Token],
    ends: Vec<Hash>,
}

impl<'a> Prefixes<'a> {
    /// Hashes the blocks of a sequence.
    pub(super) fn of(tokens: &'a [Token]) -> Self {
        let (blocks, _) = tokens.as_chunks::<BLOCK>();
        let ends = blocks.iter().scan(Hash::default(), |before, block| {
            *before = hash(before, block);
            Some(*before)
        });
        Self { tokens, ends: ends.collect() }
    }

    /// Tokens of the sequence.
    pub(super) fn length(&self) -> usize {
        self.tokens.len()
    }

    /// How many tokens it begins with that others begin with.
    pub(super) fn common(&self, others: &[Token]) -> usize {
        self.tokens.iter().zip(others).take_while(|(a, b)| a == b).count()
    }

    /// The hash of its first tokens.
    pub(super) fn hash(&self, length: usize) -> Hash {
        let length = length.min(self.tokens.len());
        let blocks = length / BLOCK;
        let before = blocks.checked_sub(1).and_then(|last| self.ends.get(last)).copied().unwrap_or_default();
        hash(&before, &self.tokens[blocks * BLOCK..length])
    }

    /// Its first tokens.
    pub(super) fn beginning(&self, length: usize) -> Self {
        let length = length.min(self.tokens.len());
        Self { tokens: &self.tokens[..length], ends: self.ends[..length / BLOCK].to_vec() }
    }

    /// The hashes of its first tokens.
    pub(super) fn blocks(&self, length: usize) -> Blocks {
        let length = length.min(self.tokens.len());
        Blocks { ends: self.ends[..length / BLOCK].to_vec(), whole: self.hash(length), length }
    }

    /// How many tokens both sequences begin with: all of the other, or those of whole blocks.
    pub(super) fn shared(&self, other: &Blocks) -> usize {
        let same = self.ends.iter().zip(&other.ends).take_while(|(a, b)| a == b).count();
        let may_be_all = same == other.ends.len() && other.length <= self.tokens.len();
        if may_be_all && self.hash(other.length) == other.whole { other.length } else { same * BLOCK }
    }
}

/// The hash of the tokens after a beginning with this hash.
fn hash(before: &Hash, tokens: &[Token]) -> Hash {
    let mut digest = Sha256::new();
    digest.update(before);
    for token in tokens {
        digest.update(token.0.to_le_bytes());
    }
    let digest = digest.finalize();
    std::array::from_fn(|at| digest[at])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tokens(length: usize, changed: Option<usize>) -> Vec<Token> {
        let token = |at: usize| Token(i32::try_from(at % 7 + usize::from(changed == Some(at)) * 9).unwrap());
        (0..length).map(token).collect()
    }

    proptest! {
        #[test]
        fn shared_tokens_are_all_of_the_other_or_whole_blocks(
            one in 0usize..1200, other in 0usize..1200, changed in prop::option::of(0usize..1200),
        ) {
            let (one, other) = (tokens(one, None), tokens(other, changed));
            let common = one.iter().zip(&other).take_while(|(a, b)| a == b).count();
            let expected = if common == other.len() { common } else { common / BLOCK * BLOCK };
            prop_assert_eq!(Prefixes::of(&one).shared(&Blocks::of(&other)), expected);
        }

        #[test]
        fn a_beginning_has_the_hashes_of_its_tokens(length in 0usize..1200, part in 0usize..1300) {
            let all = tokens(length, None);
            let part = part.min(length);
            prop_assert_eq!(Prefixes::of(&all).blocks(part), Blocks::of(&all[..part]));
            prop_assert_eq!(Prefixes::of(&all).beginning(part).blocks(part), Blocks::of(&all[..part]));
        }
    }

    #[test]
    fn an_end_of_a_block_is_no_other_sequence() {
        // The hash of no tokens after a block is not that of the block alone.
        let (whole, part) = (Blocks::of(&tokens(512, None)), Blocks::of(&tokens(256, None)));
        assert_ne!(whole.whole(), part.whole());
        assert_eq!(part.length(), 256);
    }
}
