//! A prompt, and which part of its text the template wrote.

use std::ops::Range;

use super::marked::{Palette, Unmarked};
use super::tags::Start;

/// A rendered conversation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rendered {
    /// The prompt, as transformers renders it.
    pub text: String,
    /// Where each message begins in it, as far as the template shows; the parts of a message that it moves elsewhere
    /// do not count.
    pub messages: Vec<Option<usize>>,
    /// Where the beginning of the answer is, if the template has one.
    pub answer: Option<usize>,
    written: Vec<Range<usize>>,
    source: String,
    given: Vec<String>,
}

impl Rendered {
    /// `begins` are places in the marked text: of each message, then of the answer.
    pub(super) fn new(
        marked: &str,
        begins: Vec<Option<usize>>,
        palette: &Palette,
        source: &str,
        given: Vec<String>,
    ) -> Self {
        let mut order: Vec<usize> = begins.iter().flatten().copied().collect();
        order.sort_unstable();
        order.dedup();
        let Unmarked { text, written, places } = palette.unmark(marked, &order);
        let place = |begin: usize| order.binary_search(&begin).ok().map(|index| places[index]);
        let mut messages: Vec<_> = begins.into_iter().map(|begin| begin.and_then(place)).collect();
        let answer = messages.pop().flatten();
        Self { text, messages, answer, written, source: source.to_owned(), given }
    }

    /// Whether a part of the text is the template's, all of it, so that it may be a control token.
    ///
    /// A text that the template hands through a variable it also looks at has no mark. It is the template's if it is
    /// in its source and no message could have brought it in.
    #[must_use]
    pub fn is_markup(&self, part: Range<usize>) -> bool {
        let index = self.written.partition_point(|range| range.end <= part.start);
        match self.written.get(index) {
            Some(range) if range.start <= part.start && part.end <= range.end => true,
            Some(range) if range.start < part.end => false,
            _ => {
                let text = &self.text[part];
                self.source.contains(text) && !self.given.iter().any(|given| may_bring(given, text))
            }
        }
    }

    /// The parts of the text that are the template's for certain, in order.
    #[must_use]
    pub fn written(&self) -> &[Range<usize>] {
        &self.written
    }

    /// The last occurrence of a text from a place on in what the template was given.
    #[must_use]
    pub fn find_given(&self, from: usize, text: &str) -> Option<usize> {
        let given = |at: &usize| {
            let end = at + text.len();
            !self.written.iter().any(|range| range.start < end && *at < range.end)
        };
        self.text[from..].rmatch_indices(text).map(|(at, _)| from + at).find(given)
    }

    /// The tag of the template at the end, whitespace left out; empty if there is none.
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

    /// Adds text that is the template's, or is not.
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

/// Whether a text, or its end or beginning with something else, could make another.
fn may_bring(given: &str, text: &str) -> bool {
    let bare = given.trim();
    let mut cuts = text.char_indices().skip(1).map(|(at, _)| text.split_at(at));
    given.contains(text) || cuts.any(|(left, right)| bare.ends_with(left) || bare.starts_with(right))
}

#[cfg(test)]
mod tests;
