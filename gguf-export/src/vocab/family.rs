//! What the model family decides about a tokenizer, because the files of a checkpoint do not say it.

/// A family whose tokenizer is read in its own way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Family {
    /// Byte-level BPE, with special tokens as the checkpoint names them.
    #[default]
    Plain,
    /// GLM 4 and its successors: a pre-tokenizer of the same expression as Llama 3's, and special tokens by name.
    Glm4,
    /// `MiniMax` M2: a pre-tokenizer of the same expression as that of GPT-4o.
    MiniMaxM2,
    /// Gemma 4: BPE on characters, with bytes as a fallback.
    Gemma4,
}

impl Family {
    /// Returns true if the embedding in GGUF lacks the rows after the last token.
    #[must_use]
    pub fn cuts_embedding(self) -> bool {
        self == Self::Gemma4
    }
}
