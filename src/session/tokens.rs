//! Turns a rendered prompt into tokens. Only the template's text can contain control tokens; the text of messages is
//! plain text.

use std::borrow::Cow;
use std::iter;
use std::ops::Range;

use aho_corasick::{AhoCorasick, MatchKind};

use super::pieces::Pieces;
use crate::chat::{Rendered, Template};
use crate::engine::{Markup, Token, Vocab};

/// The special tokens of a vocabulary that a template may write.
#[derive(Debug)]
pub(super) struct Specials {
    finder: AhoCorasick,
    /// For each, whether its text also stands for the token in plain text.
    always: Vec<bool>,
    pieces: Pieces,
}

/// The tokens of a text, and the index of the token at each of some places.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tokens {
    pub(super) tokens: Vec<Token>,
    pub(super) places: Vec<usize>,
}

impl Specials {
    /// All control tokens, and the other special tokens that the template uses.
    pub(super) fn of(vocab: &dyn Vocab, template: &Template) -> Self {
        let is_bare = |c: char| c.is_whitespace() || c.is_alphanumeric();
        let is_markup = |text: &str| !text.chars().all(is_bare) && template.may_write(text);
        let mut specials = vocab.specials();
        let pieces = Pieces::of(&specials);
        specials.retain(|special| !special.text.is_empty() && (!special.always || is_markup(&special.text)));
        let finder = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(specials.iter().map(|special| &special.text))
            .expect("the texts of a vocabulary fit into memory once more");
        Self { finder, always: specials.into_iter().map(|special| special.always).collect(), pieces }
    }

    /// The tokens of a text as the tokenizer sees it. They end where there are more than `most`.
    pub(super) fn text(&self, vocab: &dyn Vocab, text: &str, markup: Markup, most: usize) -> Vec<Token> {
        let mut tokens = Vec::new();
        self.pieces.tokenize(vocab, text, markup, most, &mut tokens);
        tokens
    }

    /// The tokens of a prompt. A place that is not between tokens for certain moves back to the next one that is, or
    /// is left out. The tokens end where there are more than `most`.
    pub(super) fn tokens(
        &self,
        vocab: &dyn Vocab,
        prompt: &Rendered,
        places: &[usize],
        most: usize,
    ) -> Tokens {
        let text = prompt.text.as_str();
        let markup = self.markup(prompt);
        let mut cuts: Vec<usize> = places.iter().filter_map(|&place| snap(place, &markup)).collect();
        cuts.sort_unstable();
        cuts.dedup();
        let all = self.finder.find_iter(text).map(|found| found.range());
        let mut out = Tokens::default();
        // Text that the tokenizer changes may become a token, or reach into one.
        let is_normal = || matches!(vocab.normalize(text), Cow::Borrowed(_));
        if all.eq(markup.iter().cloned()) && is_normal() {
            let mut begin = 0;
            for cut in cuts {
                self.pieces.tokenize(vocab, &text[begin..cut], Markup::Parsed, most, &mut out.tokens);
                out.places.push(out.tokens.len());
                begin = cut;
            }
            self.pieces.tokenize(vocab, &text[begin..], Markup::Parsed, most, &mut out.tokens);
            return out;
        }
        let mut cuts = cuts.into_iter().peekable();
        let mut begin = 0;
        for Range { start, end } in markup {
            if out.tokens.len() > most {
                return out;
            }
            self.plain(vocab, &text[begin..start], most, &mut out.tokens);
            if cuts.next_if_eq(&start).is_some() {
                out.places.push(out.tokens.len());
            }
            out.tokens.extend(vocab.tokenize(&text[start..end], Markup::Parsed));
            if cuts.next_if_eq(&end).is_some() {
                out.places.push(out.tokens.len());
            }
            begin = end;
        }
        self.plain(vocab, &text[begin..], most, &mut out.tokens);
        out
    }

    /// The special tokens that the template wrote.
    fn markup(&self, prompt: &Rendered) -> Vec<Range<usize>> {
        self.markup_with(prompt, |text| prompt.is_only_written(text))
    }

    /// The same, with a function that says whether the template wrote a text wherever it has no mark.
    fn markup_with(&self, prompt: &Rendered, is_only_written: impl Fn(&str) -> bool) -> Vec<Range<usize>> {
        let text = prompt.text.as_bytes();
        // A message must not hide a token of the template with text that overlaps it.
        let mut written = vec![0; text.len()];
        for range in prompt.written() {
            written[range.clone()].copy_from_slice(&text[range.clone()]);
        }
        let mut only_written = vec![None; self.always.len()];
        let mut is_markup = |pattern: usize, part: Range<usize>| {
            prompt.is_marked(part.clone()).unwrap_or_else(|| {
                *only_written[pattern].get_or_insert_with(|| is_only_written(&prompt.text[part]))
            })
        };
        let certain: Vec<_> = self.finder.find_iter(&written).map(|found| found.range()).collect();
        let mut out = Vec::new();
        let mut begin = 0;
        for range in certain.into_iter().chain(iter::once(text.len()..text.len())) {
            for found in self.finder.find_iter(&text[begin..range.start]) {
                let part = begin + found.start()..begin + found.end();
                if is_markup(found.pattern().as_usize(), part.clone()) {
                    out.push(part);
                }
            }
            begin = range.end;
            out.push(range);
        }
        out.pop();
        out
    }

    /// The tokens of text that contains no special tokens.
    pub(super) fn plain(&self, vocab: &dyn Vocab, text: &str, most: usize, tokens: &mut Vec<Token>) {
        let text = vocab.normalize(text);
        let mut text = text.as_ref();
        while let Some(found) = self.next_always(text) {
            let cut = found.start + inside(&text[found.clone()], |part| self.next_always(part).is_some());
            self.pieces.tokenize(vocab, &text[..cut], Markup::Plain, most, tokens);
            text = &text[cut..];
            if tokens.len() > most {
                return;
            }
        }
        self.pieces.tokenize(vocab, text, Markup::Plain, most, tokens);
    }

    fn next_always(&self, text: &str) -> Option<Range<usize>> {
        let mut found = self.finder.find_iter(text);
        found.find(|found| self.always[found.pattern().as_usize()]).map(|found| found.range())
    }
}

/// Where to cut a tag so that a tokenizer does not see it, and splits the rest as it would otherwise: after its last
/// letter.
fn inside(tag: &str, is_tag: impl Fn(&str) -> bool) -> usize {
    let first = tag.chars().next().map_or(0, char::len_utf8);
    let last = tag.char_indices().rfind(|(_, c)| c.is_alphanumeric()).map(|(at, c)| at + c.len_utf8());
    last.filter(|&cut| cut < tag.len() && !is_tag(&tag[..cut])).unwrap_or(first)
}

/// The last place up to this one where a special token begins or ends.
fn snap(place: usize, markup: &[Range<usize>]) -> Option<usize> {
    let next = markup.partition_point(|range| range.start <= place);
    let last = markup.get(next.checked_sub(1)?)?;
    Some(if last.end == place { place } else { last.start })
}

#[cfg(test)]
mod tests;
