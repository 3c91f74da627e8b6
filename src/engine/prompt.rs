//! A prompt that looks for a cached beginning.

use super::{Namespace, Token};

/// The tokens of a prompt, and the namespace whose sequences it may reuse.
#[derive(Debug, Clone, Copy)]
pub struct Prompt<'a> {
    /// The namespace.
    pub namespace: Namespace,
    /// The tokens.
    pub tokens: &'a [Token],
}

impl Prompt<'_> {
    /// How much of the prompt these tokens hold. At least one token of it must be read, because otherwise there are no
    /// logits.
    pub(super) fn shared(&self, held: &[Token]) -> usize {
        let same = held.iter().zip(self.tokens).take_while(|(a, b)| a == b).count();
        same.min(self.tokens.len().saturating_sub(1))
    }
}
