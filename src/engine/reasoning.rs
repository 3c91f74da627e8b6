//! Follows an answer from its reasoning to its content: counts the tokens of the reasoning, and finds stop strings in
//! the content.

use std::mem;

use super::{Opening, Reasoning, Scanned, StopMatcher, Token};

/// The text of one answer.
///
/// Text before the content is passed on unchanged. Text that may be an opening tag is held back.
#[derive(Debug)]
pub(super) struct Follower {
    place: Place,
    open: String,
    /// Whether text without the opening tag can turn out to be reasoning.
    is_optional: bool,
    close: String,
    /// The tokens that end the reasoning, until they are taken.
    ending: Option<Vec<Token>>,
    budget: Option<u32>,
    /// Tokens of the reasoning so far.
    tokens: u32,
    stops: StopMatcher,
}

#[derive(Debug, PartialEq, Eq)]
enum Place {
    /// An opening tag may come; holds the text so far, which begins with this many bytes of whitespace.
    Opening {
        held: String,
        space: usize,
    },
    /// Inside the reasoning; holds the end of its text, shorter than the closing tag.
    Inside(String),
    /// No opening tag came: content, unless a closing tag shows that it was reasoning. Holds the end of its text.
    Unopened(String),
    /// After the closing tag, before the first character of the content.
    Closed,
    Content,
}

impl Follower {
    pub(super) fn new(reasoning: Option<Reasoning>, stops: Vec<String>) -> Self {
        let stops = StopMatcher::new(stops);
        let none = String::new;
        let Some(Reasoning { open, close, ending, budget }) = reasoning else {
            let (place, ending, budget) = (Place::Content, None, None);
            return Self {
                place,
                open: none(),
                is_optional: false,
                close: none(),
                ending,
                budget,
                tokens: 0,
                stops,
            };
        };
        let (place, open, is_optional) = match open {
            Opening::Prompt => (Place::Inside(none()), none(), false),
            Opening::Tag(tag) => (Place::Opening { held: none(), space: 0 }, tag, false),
            Opening::OptionalTag(tag) => (Place::Opening { held: none(), space: 0 }, tag, true),
        };
        Self { place, open, is_optional, close, ending: Some(ending), budget, tokens: 0, stops }
    }

    /// Takes the text of a token.
    pub(super) fn token(&mut self, text: &str) -> Scanned {
        let scanned = self.push(text);
        if self.is_reasoning() {
            self.tokens = self.tokens.saturating_add(1);
        }
        scanned
    }

    /// Takes text that counts for no budget.
    pub(super) fn push(&mut self, text: &str) -> Scanned {
        let mut passed = String::new();
        let mut rest = text.to_owned();
        while self.place != Place::Content {
            match self.advance(rest, &mut passed) {
                Ok(Some(text)) => rest = text,
                Ok(None) => return Scanned { text: passed, stop: None },
                Err(stop) => return Scanned { text: passed, stop: Some(stop) },
            }
        }
        let Scanned { text, stop } = self.stops.push(&rest);
        Scanned { text: passed + &text, stop }
    }

    /// Returns the text that was held back, when no more text comes.
    pub(super) fn finish(&mut self) -> Scanned {
        let held = match &mut self.place {
            Place::Opening { held, .. } => mem::take(held),
            Place::Inside(_) | Place::Unopened(_) | Place::Closed | Place::Content => String::new(),
        };
        let mut scanned = self.stops.push(&held);
        if scanned.stop.is_none() {
            scanned.text += &self.stops.finish();
        }
        scanned
    }

    /// Ends the reasoning after the next token, unless it has ended.
    pub(super) fn end_reasoning(&mut self) {
        self.budget = Some(0);
    }

    /// The tokens that end the reasoning, if its budget is used up. They are returned once. Text without an opening tag is
    /// reasoning from then on: the tokens contain no stop string.
    pub(super) fn ending(&mut self) -> Option<Vec<Token>> {
        let is_over = self.is_reasoning() && self.budget.is_some_and(|budget| self.tokens >= budget);
        let ending = if is_over { self.ending.take() } else { None }?;
        if let Place::Unopened(tail) = &mut self.place {
            self.place = Place::Inside(mem::take(tail));
        }
        Some(ending)
    }

    fn is_reasoning(&self) -> bool {
        matches!(self.place, Place::Inside(_) | Place::Unopened(_))
    }

    /// Takes text before the content: appends what is certain to `passed`, and returns the text behind it if the place
    /// changed; a stop string is an error.
    fn advance(&mut self, text: String, passed: &mut String) -> Result<Option<String>, usize> {
        match &mut self.place {
            Place::Opening { held, space } => {
                *held += &text;
                let begin = held[*space..].trim_start();
                *space = held.len() - begin.len();
                if begin.starts_with(self.open.as_str()) {
                    let rest = held.split_off(*space + self.open.len());
                    *passed += held;
                    self.place = Place::Inside(self.open.clone());
                    return Ok(Some(rest));
                }
                if self.open.starts_with(begin) {
                    return Ok(None);
                }
                let rest = mem::take(held);
                self.place = if self.is_optional { Place::Unopened(String::new()) } else { Place::Content };
                Ok(Some(rest))
            }
            Place::Inside(tail) => {
                let (before, rest) = split_closed(tail, &text, &self.close);
                // Held back before the text turned out to be reasoning.
                *passed += &self.stops.finish();
                *passed += before;
                Ok(rest.map(|rest| self.closed(rest)))
            }
            Place::Unopened(tail) => {
                let (before, rest) = split_closed(tail, &text, &self.close);
                let Scanned { text, stop } = self.stops.push(before);
                *passed += &text;
                if let Some(stop) = stop {
                    return Err(stop);
                }
                let Some(rest) = rest else { return Ok(None) };
                *passed += &self.stops.finish();
                Ok(Some(self.closed(rest)))
            }
            Place::Closed => {
                let content = text.trim_start_matches('\n');
                *passed += &text[..text.len() - content.len()];
                if content.is_empty() {
                    return Ok(None);
                }
                self.place = Place::Content;
                Ok(Some(content.to_owned()))
            }
            Place::Content => Ok(Some(text)),
        }
    }

    fn closed(&mut self, rest: &str) -> String {
        self.place = Place::Closed;
        rest.to_owned()
    }
}

/// Splits a text behind the closing tag, which may have begun in the text before it; `tail` holds the end of that.
fn split_closed<'a>(tail: &mut String, text: &'a str, close: &str) -> (&'a str, Option<&'a str>) {
    let before = tail.len();
    *tail += text;
    if let Some(at) = tail.find(close) {
        let (inside, rest) = text.split_at((at + close.len()).saturating_sub(before));
        return (inside, Some(rest));
    }
    let surplus = (tail.len() + 1).saturating_sub(close.len().max(1));
    let cut = (0..=surplus).rev().find(|&at| tail.is_char_boundary(at));
    tail.drain(..cut.unwrap_or(0));
    (text, None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn follower(open: Opening, stops: &[&str]) -> Follower {
        let reasoning = Reasoning { open, close: "</t>".to_owned(), ending: vec![Token(7)], budget: None };
        Follower::new(Some(reasoning), stops.iter().map(ToString::to_string).collect())
    }

    fn run(follower: &mut Follower, pieces: &[&str]) -> (String, Option<usize>) {
        let mut out = String::new();
        for piece in pieces {
            let Scanned { text, stop } = follower.token(piece);
            out += &text;
            if stop.is_some() {
                return (out, stop);
            }
        }
        let Scanned { text, stop } = follower.finish();
        (out + &text, stop)
    }

    fn tag() -> Opening {
        Opening::Tag("<t>".to_owned())
    }

    fn optional() -> Opening {
        Opening::OptionalTag("<t>".to_owned())
    }

    #[test]
    fn stop_strings_end_the_content_and_not_the_reasoning() {
        for (open, answer, text, stop) in [
            (Opening::Prompt, "a\nb</t>\n\nc\nd", "a\nb</t>\n\nc", Some(0)),
            (tag(), "<t>a\nb</t>\n\nc\nd", "<t>a\nb</t>\n\nc", Some(0)),
            (tag(), "a\nb", "a", Some(0)),
            (tag(), "\n<t>a\n</t>", "\n<t>a\n</t>", None),
            (tag(), "\n<x", "", Some(0)),
            (tag(), "\n<", "", Some(0)),
            (optional(), "<t>a\nb</t>c\n", "<t>a\nb</t>c", Some(0)),
            (optional(), "a</t>\nb\nc", "a</t>\nb", Some(0)),
            (optional(), "a\nb</t>c", "a", Some(0)),
            (Opening::Prompt, "a\nb", "a\nb", None),
        ] {
            let expected = (text.to_owned(), stop);
            assert_eq!(run(&mut follower(open.clone(), &["\n"]), &[answer]), expected, "{open:?} {answer:?}");
        }
    }

    #[test]
    fn without_reasoning_all_text_is_content() {
        let mut follower = Follower::new(None, vec!["x".to_owned()]);
        assert_eq!(run(&mut follower, &["<t>a", "bx"]), ("<t>ab".to_owned(), Some(0)));
        assert_eq!(follower.ending(), None);
    }

    #[test]
    fn a_budget_counts_the_tokens_of_the_reasoning_and_is_used_up_once() {
        let mut follower = follower(tag(), &[]);
        follower.budget = Some(2);
        for (text, ending) in [("<", false), ("t>", false), ("a", true), ("b", false)] {
            follower.token(text);
            assert_eq!(follower.ending().is_some(), ending, "{text}");
        }
    }

    #[test]
    fn a_forced_end_of_the_reasoning_contains_no_stop_string() {
        for (open, answer) in
            [(optional(), "a"), (optional(), "<t>a"), (tag(), "<t>a"), (Opening::Prompt, "a")]
        {
            let mut follower = follower(open.clone(), &["\n", "ab"]);
            let mut out = follower.token(answer).text;
            follower.end_reasoning();
            assert!(follower.ending().is_some(), "{open:?}");
            out += &follower.token("b\n</t>\n\n").text;
            let Scanned { text, stop } = follower.token("yes\n");
            assert_eq!(
                (out + &text, stop),
                (format!("{answer}b\n</t>\n\nyes"), Some(0)),
                "{open:?} {answer}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_cut_gives_the_same_text_and_the_same_stop(
            open in prop::sample::select(vec![Opening::Prompt, tag(), optional()]),
            text in prop::collection::vec(prop::sample::select(vec!["<t>", "</t>", "\n", "a", "é", "<", "<t", "/t>"]), 0..12),
            stops in prop::collection::vec(prop::sample::select(vec!["\n", "aé", "\n\n", "a", "</"]), 0..3),
            cuts in prop::collection::vec(0usize..40, 0..8),
        ) {
            let text = text.concat();
            let mut bounds: Vec<usize> = cuts.into_iter().filter(|&cut| text.is_char_boundary(cut)).collect();
            bounds.extend([0, text.len()]);
            bounds.sort_unstable();
            let pieces: Vec<&str> = bounds.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect();
            let whole = run(&mut follower(open.clone(), &stops), &[&text]);
            prop_assert_eq!(run(&mut follower(open, &stops), &pieces), whole);
        }
    }
}
