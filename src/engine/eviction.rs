//! The notice that a slot's sequence is about to be overwritten.

use super::{Error, IdleSequence, Saved};

/// A sequence that is about to be overwritten.
///
/// The notice comes after the decision and before the first change: [`save`](Self::save) still gets all of the
/// sequence. The engine waits until the callback returns. A sequence whose end was lost in a failed or aborted step is
/// overwritten without a notice.
pub struct Evicted<'a> {
    /// The sequence.
    pub sequence: &'a IdleSequence,
    /// How many of its tokens, counted from the first, the slot still holds afterwards.
    pub stays: usize,
    /// The engine needs this much of it for the step that follows.
    pub(super) needed: usize,
    pub(super) bytes: &'a dyn Fn() -> u64,
    pub(super) save: &'a mut dyn FnMut(usize) -> Result<Saved, Error>,
}

impl Evicted<'_> {
    /// The longest beginning of at most `most` tokens that [`save`](Self::save) can copy; zero if it can copy none.
    #[must_use]
    pub fn longest(&self, most: usize) -> usize {
        self.sequence.longest(self.needed, most)
    }

    /// The size of a copy of all of it, for which the decoder is asked.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        (self.bytes)()
    }

    /// Copies a beginning of the sequence out of the decoder, at most once; its length is one of
    /// [`longest`](Self::longest).
    ///
    /// # Errors
    ///
    /// When the decoder cannot copy it, or cannot cut it there.
    pub fn save(self, length: usize) -> Result<Saved, Error> {
        if length < self.needed {
            return Err(Error::NothingToSave);
        }
        (self.save)(length)
    }
}

impl std::fmt::Debug for Evicted<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { sequence, stays, .. } = self;
        f.debug_struct("Evicted")
            .field("tokens", &sequence.tokens.len())
            .field("stays", stays)
            .finish_non_exhaustive()
    }
}

/// Called on the engine's thread before a sequence is overwritten.
pub type OnEviction = Box<dyn FnMut(Evicted<'_>) + Send>;
