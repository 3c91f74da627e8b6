//! Finds the calls in content, while it is being written. Not here: executing them.
//!
//! A call is returned whole, once its end has been written. Newlines around it are dropped, and so are the tags around
//! several calls. Text that begins like a call but is not one stays content, unchanged.

mod elements;
mod find;
mod format;
mod gemma;
mod held;
mod json_end;
mod named;
mod object;
mod parsed;
mod rules;
mod values;
mod writable;

use std::sync::Arc;

use serde_json::Value;

use super::delta::Delta;
use super::message::FunctionCall;
use super::pending::Pending;
use super::reasoning::begun;
use find::{Finder, Found, Opening, Place, SPACE};
use format::{Body, Syntax};
use json_end::{JsonEnd, Scan};
use parsed::{Parsed, is_known};

pub use format::ToolFormat;
pub(super) use format::tags;
pub use held::Unheld;
pub(super) use parsed::names;
pub use rules::{CallRules, Calls};

/// The maximum number of bytes of a call that distinguish it from other text.
const BEGINNING: usize = 1024;
/// The maximum number of bytes of an answer that are read as calls. A call is read again for each closing tag in its texts: after that, the rest
/// of the answer is content, with the call that is too much.
pub(super) const READ: usize = 64 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Between calls.
    Text(Place),
    /// After an opening tag.
    Call(Opened),
}

/// A call that is being written; the held text begins with its tag, or with newlines before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Opened {
    /// Where the text after the opening tag begins, or after the beginning of the element's tag.
    body: usize,
    opening: Opening,
    /// The length of the held text that has no closing tag that could be the end, or that is read up to the end of its
    /// JSON.
    searched: usize,
    /// Where the first closing tag ended that could not be the end.
    passed: Option<usize>,
    json: JsonEnd,
}

/// Takes content and returns deltas, none of which is reasoning.
#[derive(Debug, Clone)]
pub(super) struct ToolParser {
    syntax: Syntax,
    finder: Finder,
    tools: Arc<[Value]>,
    state: State,
    /// A section has begun and not ended.
    is_in_section: bool,
    held: Pending,
    /// Bytes that may still be read as calls.
    left: usize,
    /// Texts that begin like a call and are not one.
    unread: usize,
}

impl ToolParser {
    pub(super) fn new(syntax: Syntax, tools: &[Value]) -> Self {
        Self {
            syntax,
            finder: Finder::new(syntax, tools),
            tools: tools.into(),
            state: State::Text(Place::Begin),
            is_in_section: false,
            held: Pending::default(),
            left: READ,
            unread: 0,
        }
    }

    /// Where the first call in a text begins, and its text after the opening tag if that is whole.
    pub(super) fn find(&self, text: &str) -> Option<(usize, Option<usize>)> {
        Some(match self.finder.find(text, Place::Other, false)? {
            Found::Call { at, body, .. } => (at, Some(body)),
            Found::Begun { at } => (at, None),
        })
    }

    /// The number of texts so far that begin like a call and stayed content.
    pub(super) fn unread(&self) -> usize {
        self.unread
    }

    pub(super) fn push(&mut self, text: &str, deltas: &mut Vec<Delta>) {
        self.held.push(text);
        while self.advance(deltas, false) {}
    }

    /// Returns the text that was held back: a call that never ended is content.
    pub(super) fn finish(&mut self, deltas: &mut Vec<Delta>) {
        while self.advance(deltas, true) || self.pass_over(deltas) {}
        self.unread += usize::from(matches!(self.state, State::Call(_)));
        self.give(self.held.len(), deltas);
    }

    /// Returns a call that never ended up to the first closing tag in it: others may follow.
    fn pass_over(&mut self, deltas: &mut Vec<Delta>) -> bool {
        let State::Call(opened @ Opened { passed: Some(first), .. }) = self.state else { return false };
        self.unread += 1;
        self.give(self.up_to_call(opened, first), deltas);
        true
    }

    fn advance(&mut self, deltas: &mut Vec<Delta>, last: bool) -> bool {
        if self.left == 0 {
            self.give(self.held.len(), deltas);
            return false;
        }
        match self.state {
            State::Text(place) => self.text(place, deltas),
            State::Call(opened) => self.call(opened, deltas, last),
        }
    }

    fn text(&mut self, mut place: Place, deltas: &mut Vec<Delta>) -> bool {
        if matches!(place, Place::AfterCall | Place::AfterUnclosed) {
            self.held.skip(self.held.len() - self.held.trim_start_matches('\n').len());
        }
        if let (Place::AfterUnclosed, Some(close)) = (place, self.syntax.close) {
            if self.held.starts_with(close) {
                self.held.skip(close.len());
                self.state = State::Text(Place::AfterCall);
                return true;
            }
            if close.starts_with(&*self.held) {
                return false;
            }
            place = Place::AfterCall;
        }
        if let (Place::AfterCall, Some((_, end))) = (place, self.syntax.section) {
            let text = self.held.trim_start();
            let space = self.held.len() - text.len();
            if space > SPACE {
                place = Place::Other;
            } else if text.starts_with(end) {
                self.held.skip(space + end.len());
                self.is_in_section = false;
                return true;
            } else if end.starts_with(text) {
                return false;
            }
        }
        let found = self.finder.find(&self.held, place, self.is_in_section);
        let end = found.map_or(self.held.len(), Found::at);
        if let Some(over) = self.section_end().and_then(|tag| Some(self.held[..end].find(tag)? + tag.len())) {
            self.is_in_section = false;
            self.give(over, deltas);
            return true;
        }
        let newlines = self.held[..end].len() - self.held[..end].trim_end_matches('\n').len();
        let certain = end - newlines.min(SPACE);
        if certain > 0 {
            self.give(certain, deltas);
        }
        let Some(Found::Call { body, opening, in_section, .. }) = found else { return false };
        let body = body - certain;
        self.is_in_section |= in_section;
        self.state =
            State::Call(Opened { body, opening, searched: body, passed: None, json: JsonEnd::default() });
        true
    }

    /// The tag that ends the section that the text is in.
    fn section_end(&self) -> Option<&'static str> {
        self.syntax.section.filter(|_| self.is_in_section).map(|(_, end)| end)
    }

    fn call(&mut self, opened: Opened, deltas: &mut Vec<Delta>, last: bool) -> bool {
        if !self.may_be_call(opened) {
            self.give(opened.body, deltas);
            return true;
        }
        match self.close(opened.opening) {
            Some(close) => self.call_in_tags(opened, close, deltas, last),
            None => self.call_in_json(opened, deltas) || (last && self.give_up(opened, deltas)),
        }
    }

    /// The tag that ends a call; `None`: the end of its JSON does.
    fn close(&self, opening: Opening) -> Option<&'static str> {
        match (opening, self.syntax.body) {
            (Opening::Element, Body::Elements(elements)) => Some(elements.end),
            // Models leave out the tag after it.
            (_, Body::Named(named)) if named.fence.is_empty() => None,
            _ => self.syntax.close,
        }
    }

    fn call_in_tags(&mut self, opened: Opened, close: &str, deltas: &mut Vec<Delta>, last: bool) -> bool {
        let Opened { body, opening, searched, passed, .. } = opened;
        let Some(at) = self.held[searched..].find(close).map(|at| searched + at) else {
            let searched = body.max(self.held.len() - begun(&self.held, close));
            self.state = State::Call(Opened { searched, ..opened });
            return false;
        };
        let end = at + close.len();
        let first = passed.unwrap_or(end);
        if !self.may_read(at - body) {
            return self.stop_reading(deltas);
        }
        // The last tag of an element is its own.
        let until = if opening == Opening::Element { end } else { at };
        match self.parse(opening, &self.held[body..until]) {
            Parsed::Incomplete if !last => {
                self.state = State::Call(Opened { searched: end, passed: Some(first), ..opened });
            }
            Parsed::Calls(calls) => self.give_calls(calls, opening, end, deltas),
            Parsed::Incomplete | Parsed::Malformed => {
                self.unread += 1;
                self.give(self.up_to_call(opened, first), deltas);
            }
        }
        true
    }

    /// Where the next call begins in a text that is not one, or its end.
    fn up_to_call(&self, Opened { body, opening, .. }: Opened, end: usize) -> usize {
        let text = &self.held[body..end];
        let untagged = if opening == Opening::Element { self.finder.untagged(text) } else { None };
        let next = text.find(self.syntax.open).into_iter().chain(untagged.map(Found::at)).min();
        next.map_or(end, |at| body + at)
    }

    fn call_in_json(&mut self, opened: Opened, deltas: &mut Vec<Delta>) -> bool {
        let Opened { body, opening, searched, mut json, .. } = opened;
        let Some(value) = self.value(&self.held[body..]).map(|at| body + at) else { return false };
        let searched = searched.max(value);
        let end = match json.scan(&self.held[searched..]) {
            Scan::More => {
                self.state = State::Call(Opened { searched: self.held.len(), json, ..opened });
                return false;
            }
            Scan::End(end) => searched + end,
            Scan::Other => value,
        };
        if !self.may_read(end - body) {
            return self.stop_reading(deltas);
        }
        match self.parse(opening, &self.held[body..end]) {
            Parsed::Calls(calls)
                if opening == Opening::Tag || calls.iter().all(|call| is_known(&call.name, &self.tools)) =>
            {
                self.give_calls(calls, opening, end, deltas);
            }
            _ => {
                self.unread += usize::from(opening == Opening::Tag);
                self.give(self.up_to_call(opened, end), deltas);
            }
        }
        true
    }

    /// Notes that this many bytes are read as a call; false if they are too many.
    fn may_read(&mut self, bytes: usize) -> bool {
        self.left = self.left.saturating_sub(bytes);
        self.left > 0
    }

    /// Returns the held text, as all that follows, as content.
    fn stop_reading(&mut self, deltas: &mut Vec<Delta>) -> bool {
        self.unread += 1;
        self.give(self.held.len(), deltas);
        true
    }

    /// Returns the tag of a call that never ended: another may follow it.
    fn give_up(&mut self, opened: Opened, deltas: &mut Vec<Delta>) -> bool {
        if !self.may_read(self.held.len() - opened.body) {
            return self.stop_reading(deltas);
        }
        self.unread += usize::from(opened.opening == Opening::Tag);
        self.give(opened.body, deltas);
        true
    }

    fn give_calls(
        &mut self,
        calls: Vec<FunctionCall>,
        opening: Opening,
        end: usize,
        deltas: &mut Vec<Delta>,
    ) {
        deltas.extend(calls.into_iter().map(Delta::ToolCall));
        self.held.skip(end);
        let is_closed = self.close(opening) == self.syntax.close;
        self.state = State::Text(if is_closed { Place::AfterCall } else { Place::AfterUnclosed });
    }

    /// Returns the held text up to `end` as content; the rest is between calls.
    fn give(&mut self, end: usize, deltas: &mut Vec<Delta>) {
        if end > 0 {
            deltas.push(Delta::Content(self.held.take(end)));
        }
        self.state = State::Text(Place::Other);
    }

    /// Whether the text after an opening tag begins like a call, as far as it has been written.
    fn may_be_call(&self, Opened { body, opening, .. }: Opened) -> bool {
        let whole = &self.held[body..];
        let begin = beginning(whole);
        let close = self.syntax.close.and_then(|close| begin.find(close));
        let may_continue = close.is_some() || whole.len() <= BEGINNING;
        let end = close.unwrap_or(begin.len() - self.syntax.close.map_or(0, |close| begun(begin, close)));
        let text = &begin[..end];
        match self.syntax.body {
            Body::Object if opening == Opening::Object => object::may_begin(text),
            Body::Object => parsed::may_begin_with(text.trim_start(), "{"),
            Body::List => parsed::may_begin_with(text.trim_start(), "["),
            Body::Named(named) => named.may_begin(text) && (may_continue || named.value(text).is_some()),
            Body::Elements(elements) if opening == Opening::Element => elements.may_follow(whole, SPACE),
            Body::Elements(elements) => elements.may_begin(text),
            Body::Gemma => gemma::may_begin(text),
        }
    }

    /// Where the JSON of a call begins that ends with it.
    fn value(&self, text: &str) -> Option<usize> {
        match self.syntax.body {
            Body::Named(named) => named.value(beginning(text)),
            Body::Object | Body::List | Body::Elements(_) | Body::Gemma => Some(0),
        }
    }

    fn parse(&self, opening: Opening, body: &str) -> Parsed {
        match self.syntax.body {
            Body::Object => object::parse(body),
            Body::List => object::parse_list(body),
            Body::Named(named) => named.parse(body),
            Body::Elements(elements) if opening == Opening::Element => {
                elements.parse_named(body, &self.tools)
            }
            Body::Elements(elements) => elements.parse(body, &self.tools),
            Body::Gemma => gemma::parse(body),
        }
    }
}

/// The part of a call that distinguishes it from other text.
fn beginning(call: &str) -> &str {
    &call[..call.floor_char_boundary(BEGINNING)]
}

#[cfg(test)]
pub(super) mod forms;
#[cfg(test)]
mod tests;
