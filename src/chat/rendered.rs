//! A prompt, and the parts of its text that the template wrote.

use std::ops::Range;
use std::sync::Arc;

use super::marked::{Palette, Unmarked};
use super::tags::Start;

/// Filters and methods with which a template may make other text of what it is given.
const REWRITERS: [&str; 9] =
    ["replace", "join", "lower", "upper", "title", "capitalize", "swapcase", "casefold", "format"];

/// A rendered conversation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rendered {
    /// The prompt, as transformers renders it.
    pub text: String,
    /// Where each message begins in it, if the template reads the messages in order.
    pub messages: Vec<Option<usize>>,
    /// Where the answer begins, if the template adds a beginning.
    pub answer: Option<usize>,
    written: Vec<Range<usize>>,
    /// See [`certain_source`].
    source: Arc<str>,
    given: Vec<String>,
}

impl Rendered {
    /// `begins` are places in the marked text: of each message, then of the answer.
    pub(super) fn new(
        marked: &str,
        begins: Vec<Option<usize>>,
        palette: &Palette,
        source: Arc<str>,
        given: Vec<String>,
    ) -> Self {
        let mut order: Vec<usize> = begins.iter().flatten().copied().collect();
        order.sort_unstable();
        order.dedup();
        let Unmarked { text, written, places } = palette.unmark(marked, &order);
        let place = |begin: usize| order.binary_search(&begin).ok().map(|index| places[index]);
        let mut messages: Vec<_> = begins.into_iter().map(|begin| begin.and_then(place)).collect();
        let answer = messages.pop().flatten();
        Self { text, messages, answer, written, source, given }
    }

    /// Whether the template wrote all of a part of the text, which may then be a control token.
    #[must_use]
    pub fn is_markup(&self, part: Range<usize>) -> bool {
        self.is_marked(part.clone()).unwrap_or_else(|| self.is_only_written(&self.text[part]))
    }

    /// Like [`Self::is_markup`], but `None` where no part is marked: text of a variable that the template does not
    /// only write has no mark.
    #[must_use]
    pub fn is_marked(&self, part: Range<usize>) -> Option<bool> {
        let index = self.written.partition_point(|range| range.end <= part.start);
        let range = self.written.get(index).filter(|range| range.start < part.end)?;
        Some(range.start <= part.start && part.end <= range.end)
    }

    /// Whether the template wrote this text wherever it has no mark: the source contains it, and what was given
    /// cannot become it. This looks through everything that was given.
    #[must_use]
    pub fn is_only_written(&self, text: &str) -> bool {
        self.source.contains(text) && !may_bring(&self.given, text)
    }

    /// The parts of the text that certainly come from the template, in order.
    #[must_use]
    pub fn written(&self) -> &[Range<usize>] {
        &self.written
    }

    /// The last occurrence of a text after a place, in the text that the template was given.
    #[must_use]
    pub fn find_given(&self, from: usize, text: &str) -> Option<usize> {
        let mut found = self.text[from..].rmatch_indices(text).map(|(at, _)| from + at);
        found.find(|&at| self.is_marked(at..at + text.len()).is_none())
    }

    /// Whether a part of the text contains a text that the template was given.
    pub(super) fn has_given(&self, part: Range<usize>, text: &str) -> bool {
        let mut found = self.text[part.clone()].match_indices(text).map(|(at, _)| part.start + at);
        found.any(|at| self.is_marked(at..at + text.len()).is_none())
    }

    /// The tag that the template wrote at the end, before whitespace; empty if another text is there.
    pub(super) fn last_tag(&self) -> &'static str {
        let end = self.text.trim_end();
        let tag = Start::last_tag(end).filter(|tag| self.is_markup(end.len() - tag.len()..end.len()));
        tag.unwrap_or_default()
    }

    /// Ends the prompt at a place.
    pub fn truncate(&mut self, end: usize) {
        self.text.truncate(end);
        self.written.retain(|range| range.start < end);
        if let Some(last) = self.written.last_mut() {
            last.end = last.end.min(end);
        }
        self.answer = None;
    }

    /// Adds text, as the template's or as the caller's.
    pub fn push(&mut self, text: &str, markup: bool) {
        let begin = self.text.len();
        self.text.push_str(text);
        if markup {
            self.written.push(begin..self.text.len());
        } else {
            self.given.push(text.to_owned());
        }
    }
}

/// The source of a template; empty if the template rewrites text, which may make any text of what it is given.
pub(super) fn certain_source(source: &str) -> Arc<str> {
    if rewrites(source) { Arc::default() } else { source.into() }
}

/// Whether a template calls one of the [`REWRITERS`].
fn rewrites(source: &str) -> bool {
    let is_call = |at: usize, name: &str| {
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        source[..at].trim_end().ends_with(['.', '|']) && !source[at + name.len()..].starts_with(is_part)
    };
    REWRITERS.iter().any(|name| source.match_indices(name).any(|(at, _)| is_call(at, name)))
}

/// Whether a template that cuts texts up may make another of them: one of them has its characters in this order or
/// the reverse, or one ends with the beginning of it and one begins with the end of it.
fn may_bring(given: &[String], text: &str) -> bool {
    let cuts = || text.char_indices().skip(1).map(|(at, _)| text.split_at(at));
    let ends = |given: &str| cuts().any(|(left, _)| given.ends_with(left));
    let begins = |given: &str| cuts().any(|(_, right)| given.starts_with(right));
    let mut bare = given.iter().map(|given| given.trim());
    given.iter().any(|given| has_in_order(given, text.chars()) || has_in_order(given, text.chars().rev()))
        || (bare.clone().any(ends) && bare.any(begins))
}

/// Whether a text has characters in this order, with any others between them.
fn has_in_order(text: &str, mut characters: impl Iterator<Item = char>) -> bool {
    let mut rest = text;
    characters.all(|character| match rest.split_once(character) {
        Some((_, after)) => {
            rest = after;
            true
        }
        None => false,
    })
}

#[cfg(test)]
mod tests;
