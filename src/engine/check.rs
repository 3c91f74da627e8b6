//! Checks of a request that need no decoding. They run on the caller's thread, before the request is accepted.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use super::error::{MOST_STOP_BYTES, MOST_STOPS};
use super::{Error, Prompt, Request, SamplingError, SamplingParams, Token};

/// Checks sampling parameters and makes the sampler of a prompt from them, its grammar compiled. Runs on any thread.
pub type PrepareSampler =
    Arc<dyn Fn(&SamplingParams, &[Token]) -> Result<PreparedSampler, SamplingError> + Send + Sync>;

/// A sampler in its decoder's own form. Its decoder takes it once.
#[derive(Clone)]
pub struct PreparedSampler(Arc<Mutex<Option<Box<dyn Any + Send>>>>);

impl PreparedSampler {
    /// Wraps a sampler.
    pub fn new<T: Any + Send>(sampler: T) -> Self {
        Self(Arc::new(Mutex::new(Some(Box::new(sampler)))))
    }

    /// Takes it out; `None` if it was taken before or is of another type.
    #[must_use]
    pub fn take<T: Any + Send>(&self) -> Option<T> {
        let sampler = self.0.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        sampler.downcast().ok().map(|sampler| *sampler)
    }
}

impl fmt::Debug for PreparedSampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PreparedSampler").finish_non_exhaustive()
    }
}

/// The same sampler object, not just one that would choose the same tokens.
impl PartialEq for PreparedSampler {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// A request that was checked, with its sampler.
#[derive(Debug)]
pub struct Prepared {
    pub(super) request: Request,
    pub(super) sampler: PreparedSampler,
}

impl Prepared {
    /// The prompt.
    #[must_use]
    pub fn prompt(&self) -> Prompt<'_> {
        Prompt { namespace: self.request.namespace, tokens: &self.request.prompt }
    }
}

/// Checks requests for one engine.
#[derive(Clone)]
pub(super) struct Checker {
    /// Tokens that a sequence can hold.
    pub(super) context: u32,
    /// Tokens of the vocabulary.
    pub(super) vocabulary: u32,
    pub(super) prepare: PrepareSampler,
}

impl fmt::Debug for Checker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { context, vocabulary, .. } = self;
        f.debug_struct("Checker")
            .field("context", context)
            .field("vocabulary", vocabulary)
            .finish_non_exhaustive()
    }
}

impl Checker {
    /// Checks a request and makes its sampler.
    pub(super) fn prepare(&self, request: &Request) -> Result<PreparedSampler, Error> {
        check(request, self.context, self.vocabulary)?;
        Ok((self.prepare)(&request.sampling, &request.prompt)?)
    }
}

/// Checks the tokens and the stop texts of a request for an engine with this context and vocabulary.
///
/// # Errors
///
/// When the prompt is empty, too long or has an unknown token, or there are too many stop texts.
pub fn check(request: &Request, context: u32, vocabulary: u32) -> Result<(), Error> {
    if request.prompt.is_empty() {
        return Err(Error::PromptEmpty);
    }
    check_stops(&request.stop)?;
    check_sequence(&request.prompt, context, vocabulary)?;
    let ending = request.reasoning.as_ref().map_or(&[][..], |reasoning| &reasoning.ending);
    match unknown(ending, vocabulary) {
        Some(position) => Err(Error::EndingUnknown { token: ending[position].0, size: vocabulary }),
        None => Ok(()),
    }
}

/// Checks stop texts.
///
/// # Errors
///
/// When there are too many.
pub fn check_stops(stops: &[String]) -> Result<(), Error> {
    let (count, bytes) = (stops.len(), stops.iter().map(String::len).sum());
    if count > MOST_STOPS || bytes > MOST_STOP_BYTES {
        return Err(Error::TooManyStops { count, bytes });
    }
    Ok(())
}

/// Checks that a sequence can hold these tokens and one more.
pub(super) fn check_sequence(tokens: &[Token], context: u32, size: u32) -> Result<(), Error> {
    let length = tokens.len();
    if u32::try_from(length).map_or(true, |n| n >= context) {
        return Err(Error::PromptTooLong { tokens: length, context });
    }
    match unknown(tokens, size) {
        Some(position) => Err(Error::TokenUnknown { token: tokens[position].0, position, size }),
        None => Ok(()),
    }
}

/// The position of the first token that the vocabulary does not have.
fn unknown(tokens: &[Token], size: u32) -> Option<usize> {
    tokens.iter().position(|token| u32::try_from(token.0).map_or(true, |n| n >= size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_stop_texts_than_can_be_searched_for_are_refused() {
        let with = |stop: Vec<String>| {
            let request = Request::new(vec![Token(1)], SamplingParams::greedy());
            check(&Request { stop, ..request }, 8, 8)
        };
        assert_eq!(with(vec!["x".to_owned(); MOST_STOPS]), Ok(()));
        let count = MOST_STOPS + 1;
        assert_eq!(with(vec!["x".to_owned(); count]), Err(Error::TooManyStops { count, bytes: count }));
        let bytes = MOST_STOP_BYTES + 1;
        assert_eq!(with(vec!["x".repeat(bytes)]), Err(Error::TooManyStops { count: 1, bytes }));
    }
}
