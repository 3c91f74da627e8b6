//! A sequence outside its decoder.

use super::Token;

/// A sequence outside its decoder: the data that a decoder needs to resume it later, possibly in another process.
///
/// A decoder may end the process when given a state that is damaged or of another model. So only a decoder that has
/// just saved a sequence makes a value of this type, and `state`, after it has verified a file.
#[derive(Clone, PartialEq, Eq)]
pub struct Saved {
    tokens: Vec<Token>,
    state: Vec<u8>,
}

impl Saved {
    /// Asserts that a decoder produced this state for these tokens. `tests/tidy.rs` lists the files that may call this.
    pub(crate) fn vouched(tokens: Vec<Token>, state: Vec<u8>) -> Self {
        Self { tokens, state }
    }

    /// The tokens of the sequence.
    #[must_use]
    pub fn tokens(&self) -> &[Token] {
        &self.tokens
    }

    /// The decoder's state for them, in the decoder's own format.
    #[must_use]
    pub fn state(&self) -> &[u8] {
        &self.state
    }

    /// Takes the tokens out.
    pub(super) fn into_tokens(self) -> Vec<Token> {
        self.tokens
    }
}

impl std::fmt::Debug for Saved {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { tokens, state } = self;
        f.debug_struct("Saved").field("tokens", &tokens.len()).field("state", &state.len()).finish()
    }
}
