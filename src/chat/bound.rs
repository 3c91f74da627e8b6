//! Limits of templates, which come with models of any origin.

use minijinja::ErrorKind;

/// Bytes of a template.
pub(super) const SOURCE: usize = 1 << 20;
/// Operators, brackets and blocks within each other.
pub(super) const DEPTH: usize = 500;
/// Calls of macros and loops within each other, as minijinja counts them.
pub(super) const RECURSION: usize = 250;
/// Steps of a short conversation. minijinja makes about twenty million of them in a second.
const STEPS: u64 = 1_000_000;
/// More steps for long conversations: templates may look through all messages for each of them.
const MORE_STEPS: u64 = 40_000_000;
/// Steps for each pair of messages.
const PAIR: u64 = 16;
/// Steps for each byte of the text that the template is given.
const BYTE: u64 = 2;
/// Bytes of the prompt, and of any other text of a template.
pub(super) const TEXT: usize = 64 << 20;
/// Lists and dictionaries within each other.
pub(super) const NESTING: usize = 150;
/// Spaces of an indent, and characters of a number.
pub(super) const WIDTH: usize = 1000;

/// A limit that a template exceeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Bound {
    /// The template is too long.
    #[error("it has {bytes} bytes, expected at most {SOURCE}")]
    Source {
        /// Its length.
        bytes: usize,
    },
    /// Too much is nested in one place.
    #[error("line {line} nests more than {DEPTH} operators, brackets and blocks")]
    Depth {
        /// The line, from one.
        line: usize,
    },
    /// It takes too long.
    #[error("it takes more than {steps} steps, the limit for this conversation")]
    Steps {
        /// The number of steps that it may take.
        steps: u64,
    },
    /// The prompt or another text is too long.
    #[error("it makes a text of more than {} MiB", TEXT >> 20)]
    Text,
    /// A value is nested too deep.
    #[error("it makes a value with more than {NESTING} lists and dictionaries within each other")]
    Nesting,
    /// An indent or a number is too wide.
    #[error("it makes an indent or a number of more than {WIDTH} characters")]
    Width,
    /// A list is repeated: however long the result is, that is one step.
    #[error("it repeats a list with `*`, which is not supported")]
    Repeated,
    /// A list would become too long, or hold other than simple values.
    #[error("it appends something other than text and numbers to a list, or too many of them")]
    Appended,
    /// A namespace would hold itself, a loop or a macro.
    #[error(
        "it assigns something other than text, numbers, lists and dictionaries to an attribute of a namespace, which is not supported"
    )]
    Kept,
}

impl From<Bound> for minijinja::Error {
    fn from(bound: Bound) -> Self {
        Self::new(ErrorKind::InvalidOperation, bound.to_string()).with_source(bound)
    }
}

impl Bound {
    /// The limit that an error is about.
    pub(super) fn of(error: &minijinja::Error, steps: u64) -> Option<Self> {
        let first: &(dyn std::error::Error + 'static) = error;
        std::iter::successors(Some(first), |error| error.source()).find_map(|error| {
            let kind = error.downcast_ref::<minijinja::Error>().map(minijinja::Error::kind);
            match kind {
                Some(ErrorKind::OutOfFuel) => Some(Self::Steps { steps }),
                Some(ErrorKind::WriteFailure) => Some(Self::Text),
                _ => error.downcast_ref().copied(),
            }
        })
    }

    /// A text may have this many bytes.
    pub(super) fn text(bytes: usize) -> Result<(), Self> {
        if bytes > TEXT { Err(Self::Text) } else { Ok(()) }
    }
}

/// The steps of a template for this many messages and bytes of text.
pub(super) fn steps(messages: usize, bytes: usize) -> u64 {
    let (messages, bytes) = (messages as u64, bytes as u64);
    let pairs = messages.saturating_mul(messages).saturating_mul(PAIR).min(MORE_STEPS);
    STEPS.saturating_add(pairs).saturating_add(bytes.saturating_mul(BYTE))
}

#[cfg(test)]
mod tests;
