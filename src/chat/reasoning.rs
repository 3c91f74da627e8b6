//! Splits an answer into what the model thought and what it says, while it is being written.
//!
//! However the text is cut, the joined deltas are the same. Newlines right after `<think>` and around
//! `</think>` belong to neither part. At the end, a block that was never closed is reasoning.

use std::mem;

/// The tag that begins the thinking.
pub const OPEN: &str = "<think>";
/// The tag that ends it.
pub const CLOSE: &str = "</think>";

/// More of one of the parts of an answer; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delta {
    /// What the model says.
    Content(String),
    /// What the model thinks.
    Reasoning(String),
}

/// Where an answer begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// The prompt ends inside a block it opened: only the closing tag is to be expected.
    Reasoning,
    /// The prompt leaves it to the model, or closed the block itself: an opening tag may come first.
    Content,
}

impl Start {
    /// Reads off a rendered prompt where its answer begins.
    ///
    /// A tag counts only at the very end: a question may talk about tags too.
    #[must_use]
    pub fn of(prompt: &str) -> Self {
        if prompt.trim_end().ends_with(OPEN) { Self::Reasoning } else { Self::Content }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing but whitespace so far; an opening tag may come.
    Opening(Start),
    /// Inside the block, before its first character.
    Thinking,
    Reasoning,
    /// After the block, before the first character of the answer.
    Closed,
    Content,
}

/// Takes text and gives deltas.
#[derive(Debug, Clone)]
pub struct ReasoningParser {
    state: State,
    held: String,
}

impl ReasoningParser {
    /// Begins an answer.
    #[must_use]
    pub fn new(start: Start) -> Self {
        Self { state: State::Opening(start), held: String::new() }
    }

    /// Whether the text seen so far ends inside the block.
    #[must_use]
    pub fn is_reasoning(&self) -> bool {
        matches!(self.state, State::Opening(Start::Reasoning) | State::Thinking | State::Reasoning)
    }

    /// Takes more text.
    pub fn push(&mut self, text: &str) -> Vec<Delta> {
        self.held.push_str(text);
        let mut deltas = Vec::new();
        while self.advance(&mut deltas) {}
        deltas
    }

    /// Gives what was held back when no more text comes.
    pub fn finish(&mut self) -> Vec<Delta> {
        let held = mem::take(&mut self.held);
        let mut deltas = Vec::new();
        if self.is_reasoning() {
            reasoning(&mut deltas, held.trim_end_matches('\n'));
        } else {
            content(&mut deltas, held);
        }
        deltas
    }

    /// Does one change of state, or all it can do in this one; tells whether there may be more.
    fn advance(&mut self, deltas: &mut Vec<Delta>) -> bool {
        match self.state {
            State::Opening(start) => self.open(start),
            State::Thinking => self.skip_newlines(State::Reasoning),
            State::Reasoning => self.reason(deltas),
            State::Closed => self.skip_newlines(State::Content),
            State::Content => {
                content(deltas, mem::take(&mut self.held));
                false
            }
        }
    }

    fn open(&mut self, start: Start) -> bool {
        let text = self.held.trim_start();
        if let Some(rest) = text.strip_prefix(OPEN) {
            self.held = rest.to_owned();
            self.state = State::Thinking;
        } else if OPEN.starts_with(text) {
            return false;
        } else {
            self.state = if start == Start::Reasoning { State::Thinking } else { State::Content };
        }
        true
    }

    fn skip_newlines(&mut self, next: State) -> bool {
        self.held = self.held.trim_start_matches('\n').to_owned();
        if !self.held.is_empty() {
            self.state = next;
        }
        !self.held.is_empty()
    }

    fn reason(&mut self, deltas: &mut Vec<Delta>) -> bool {
        if let Some((thought, rest)) = self.held.split_once(CLOSE) {
            reasoning(deltas, thought.trim_end_matches('\n'));
            self.held = rest.to_owned();
            self.state = State::Closed;
            return true;
        }
        let begun = (1..CLOSE.len()).rev().find(|&n| self.held.ends_with(&CLOSE[..n])).unwrap_or(0);
        let certain = self.held[..self.held.len() - begun].trim_end_matches('\n').len();
        let rest = self.held.split_off(certain);
        reasoning(deltas, &mem::replace(&mut self.held, rest));
        false
    }
}

fn reasoning(deltas: &mut Vec<Delta>, text: &str) {
    if !text.is_empty() {
        deltas.push(Delta::Reasoning(text.to_owned()));
    }
}

fn content(deltas: &mut Vec<Delta>, text: String) {
    if !text.is_empty() {
        deltas.push(Delta::Content(text));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(start: Start, pieces: &[&str]) -> (String, String) {
        let mut parser = ReasoningParser::new(start);
        let mut parts = (String::new(), String::new());
        let mut all: Vec<Delta> = pieces.iter().flat_map(|p| parser.push(p)).collect();
        all.extend(parser.finish());
        for delta in all {
            match delta {
                Delta::Reasoning(text) => parts.0 += &text,
                Delta::Content(text) => parts.1 += &text,
            }
        }
        parts
    }

    #[test]
    fn each_form_of_an_answer_is_split() {
        use Start::{Content, Reasoning};
        for (start, text, thought, answer) in [
            (Reasoning, "\nhm\nyes\n</think>\n\n42", "hm\nyes", "42"),
            (Reasoning, "hm</think>42", "hm", "42"),
            (Reasoning, "<think>\nhm\n</think>\n\n42", "hm", "42"),
            (Reasoning, "hm, and so on\n", "hm, and so on", ""),
            (Reasoning, "\n\n</think>\n\n42", "", "42"),
            (Reasoning, "</think>42", "", "42"),
            (Reasoning, "  if a < b </thin", "  if a < b </thin", ""),
            (Reasoning, "a\n\n</thing>\n</think>b\n", "a\n\n</thing>", "b\n"),
            (Reasoning, "a</think>b</think>c", "a", "b</think>c"),
            (Content, "42", "", "42"),
            (Content, " \n<think>hm</think>\n42", "hm", "42"),
            (Content, "\n\n4 < 5", "", "\n\n4 < 5"),
            (Content, "<thin", "", "<thin"),
            (Content, "say <think>", "", "say <think>"),
            (Content, "<think>\nhm", "hm", ""),
            (Content, "", "", ""),
            (Reasoning, "", "", ""),
        ] {
            assert_eq!(parse(start, &[text]), (thought.to_owned(), answer.to_owned()), "{start:?} {text:?}");
        }
    }

    #[test]
    fn the_prompt_tells_where_the_answer_begins() {
        assert_eq!(Start::of("<|im_start|>assistant\n<think>\n"), Start::Reasoning);
        assert_eq!(Start::of("<|im_start|>assistant\n<think>"), Start::Reasoning);
        assert_eq!(Start::of("<|im_start|>assistant\n<think>\n\n</think>\n\n"), Start::Content);
        assert_eq!(Start::of("user: what is <think>?\nassistant: "), Start::Content);
        assert_eq!(Start::of(""), Start::Content);
    }

    #[test]
    fn certain_text_is_given_out_at_once() {
        let mut parser = ReasoningParser::new(Start::Reasoning);
        assert_eq!(parser.push("hm <"), vec![Delta::Reasoning("hm ".into())]);
        assert_eq!(parser.push("b\n"), vec![Delta::Reasoning("<b".into())]);
        assert_eq!(parser.push("</think>x"), vec![Delta::Content("x".into())]);
    }

    proptest! {
        #[test]
        fn any_cut_gives_the_same_parts(
            parts in prop::collection::vec(
                prop_oneof![Just("<think>"), Just("</think>"), Just("\n"), Just("</thi"), Just("<"), Just(" a"), Just("é")],
                0..12,
            ),
            inside in any::<bool>(),
        ) {
            let text = parts.concat();
            let start = if inside { Start::Reasoning } else { Start::Content };
            let whole = parse(start, &[&text]);
            let letters: Vec<String> = text.chars().map(String::from).collect();
            let letters: Vec<&str> = letters.iter().map(String::as_str).collect();
            prop_assert_eq!(&parse(start, &letters), &whole);
            for cut in (0..=text.len()).filter(|c| text.is_char_boundary(*c)) {
                prop_assert_eq!(&parse(start, &[&text[..cut], &text[cut..]]), &whole);
            }
        }
    }
}
