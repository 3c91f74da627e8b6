//! The notice that a slot's sequence is about to be overwritten.

use super::{Error, Saved, Token};

/// A sequence that is about to be overwritten.
///
/// The notice comes after the decision and before the first change: [`save`](Self::save) still gets all of the
/// sequence. The engine waits until the callback returns. A sequence whose end was lost in a failed or aborted step is
/// overwritten without a notice.
pub struct Evicted<'a> {
    /// The tokens of the sequence.
    pub tokens: &'a [Token],
    /// How many of them, counted from the first, the slot still holds afterwards.
    pub stays: usize,
    pub(super) save: &'a mut dyn FnMut() -> Result<Saved, Error>,
}

impl Evicted<'_> {
    /// Copies the sequence out of the decoder.
    ///
    /// # Errors
    ///
    /// When the decoder cannot copy it.
    pub fn save(&mut self) -> Result<Saved, Error> {
        (self.save)()
    }
}

impl std::fmt::Debug for Evicted<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { tokens, stays, .. } = self;
        f.debug_struct("Evicted").field("tokens", &tokens.len()).field("stays", stays).finish_non_exhaustive()
    }
}

/// Called on the engine's thread before a sequence is overwritten.
pub type OnEviction = Box<dyn FnMut(Evicted<'_>) + Send>;
