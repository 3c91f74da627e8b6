//! Follows an answer token by token within a schema or a grammar of schemas.

use std::fmt;

use super::compile::{Invalid, Source, compile};
use super::vocabulary::Vocabulary;

/// The state of an answer.
pub(crate) struct Matcher {
    inner: llguidance::Matcher,
    size: u32,
}

impl fmt::Debug for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Matcher").finish_non_exhaustive()
    }
}

impl Matcher {
    /// Compiles what answers must conform to. Up to `newlines` line breaks may come before.
    pub(crate) fn new(source: Source<'_>, newlines: usize, vocabulary: &Vocabulary) -> Result<Self, Invalid> {
        let parser = compile(source, newlines, vocabulary)?;
        let mut made = Self { inner: llguidance::Matcher::new(Ok(parser)), size: vocabulary.prepared().size };
        // The first token takes longest, and the caller's thread has time.
        let mut begins = false;
        made.allowed(|_| begins = true);
        if begins || made.may_end() {
            Ok(made)
        } else {
            Err(Invalid::Schema("no value conforms to it, or it is too large".to_owned()))
        }
    }

    /// Whether a token may come next. The end of an answer has no token here.
    pub(crate) fn allows(&mut self, token: u32) -> bool {
        token < self.size
            && !self.inner.is_stopped()
            && self.inner.validate_tokens(&[token]).is_ok_and(|count| count == 1)
    }

    /// Whether the answer may end.
    pub(crate) fn may_end(&mut self) -> bool {
        if self.inner.is_stopped() {
            self.inner.stop_reason().is_ok()
        } else {
            self.inner.is_accepting().unwrap_or(false)
        }
    }

    /// Calls a function for each token that may come next.
    pub(crate) fn allowed(&mut self, mut each: impl FnMut(u32)) {
        if self.inner.is_stopped() {
            return;
        }
        let Ok(mask) = self.inner.compute_mask() else { return };
        mask.iter_set_entries(|token| {
            if let Some(token) = u32::try_from(token).ok().filter(|token| *token < self.size) {
                each(token);
            }
        });
    }

    /// Why no token is allowed, if that is because a limit was exceeded and not because of the rules.
    pub(crate) fn failure(&self) -> Option<String> {
        let reason = self.inner.stop_reason();
        let failed = || self.inner.is_stopped() && !reason.is_ok();
        self.inner.get_error().or_else(|| failed().then(|| reason.to_string()))
    }

    /// Advances by a token; returns false if it may not come next.
    pub(crate) fn accept(&mut self, token: u32) -> bool {
        self.allows(token) && self.inner.consume_token(token).is_ok()
    }

    #[cfg(test)]
    pub(crate) fn fail(&mut self) {
        drop(self.inner.test_trigger_lexer_error());
    }

    /// Returns to the beginning.
    pub(crate) fn reset(&mut self) {
        // A failed matcher stays as it is and allows nothing.
        drop(self.inner.reset());
    }
}
