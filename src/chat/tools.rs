//! Finds the calls in content, while it is being written. Not here: executing them.
//!
//! A call is returned whole, once its end has been written. Newlines around it are dropped, and so are the tags around
//! several calls. Text that begins like a call but is not one stays content, unchanged.

mod elements;
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
use format::{Body, Placement, Syntax};
use json_end::{JsonEnd, Scan};
use parsed::{Parsed, is_known};

pub use format::ToolFormat;
pub(super) use format::tags;
pub use held::Unheld;
pub(super) use parsed::names;
pub use rules::{CallRules, Calls};

/// The maximum number of bytes of a call that distinguish it from other text.
const BEGINNING: usize = 1024;
/// The maximum number of bytes of whitespace between tags, and of the newlines before a call that are dropped.
const SPACE: usize = 256;
/// The maximum number of bytes of an answer that are read as calls. A call is read again for each closing tag in its texts: after that, the rest
/// of the answer is content.
pub(super) const READ: usize = 64 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Between calls.
    Text(Place),
    /// After an opening tag.
    Call(Opened),
}

/// Where the held text is, between calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// At the beginning of the content.
    Begin,
    /// After a call, with only newlines since.
    AfterCall,
    Other,
}

/// A call that is being written; the held text begins with its tag, or with newlines before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Opened {
    /// Where the text after the opening tag begins.
    body: usize,
    /// No tag opened it.
    is_bare: bool,
    /// The length of the held text that has no closing tag that could be the end, or that is read up to the end of its
    /// JSON.
    searched: usize,
    /// Where the first closing tag ended that could not be the end.
    passed: Option<usize>,
    json: JsonEnd,
}

/// A tag in a text.
enum Found {
    /// A call, from the tags before it on.
    Call { at: usize, body: usize, is_bare: bool, in_section: bool },
    /// Text that may turn out to be a tag.
    Begun { at: usize },
}

/// Takes content and returns deltas, none of which is reasoning.
#[derive(Debug, Clone)]
pub(super) struct ToolParser {
    syntax: Syntax,
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
            tools: tools.into(),
            state: State::Text(Place::Begin),
            is_in_section: false,
            held: Pending::default(),
            left: READ,
            unread: 0,
        }
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
        let State::Call(Opened { body, passed: Some(first), .. }) = self.state else { return false };
        self.unread += 1;
        self.give(self.up_to_call(body, first), deltas);
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
        if place == Place::AfterCall {
            self.held.skip(self.held.len() - self.held.trim_start_matches('\n').len());
            if let Some((_, end)) = self.syntax.section {
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
        }
        let found = self.find(place);
        let end = match found {
            None => self.held.len(),
            Some(Found::Call { at, .. } | Found::Begun { at }) => at,
        };
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
        let Some(Found::Call { body, is_bare, in_section, .. }) = found else { return false };
        let body = body - certain;
        self.is_in_section |= in_section;
        self.state =
            State::Call(Opened { body, is_bare, searched: body, passed: None, json: JsonEnd::default() });
        true
    }

    /// The first tag in the held text.
    fn find(&self, place: Place) -> Option<Found> {
        let Syntax { section, open, placement, .. } = self.syntax;
        let held = &*self.held;
        if placement == Placement::Bare
            && place != Place::Other
            && let Some(found) = bare_object(held, place)
        {
            return Some(found);
        }
        let is_taken = placement != Placement::InSection || self.is_in_section;
        let call = is_taken.then(|| held.find(open)).flatten();
        let (mut from, before) = (0, &held[..call.unwrap_or(held.len())]);
        while let Some((tag, at)) = section.and_then(|(tag, _)| Some((tag, from + before[from..].find(tag)?)))
        {
            from = at + tag.len();
            let after = held[from..].trim_start();
            if held.len() - from - after.len() > SPACE {
                continue;
            }
            if let Some(body) = after.strip_prefix(open) {
                let body = held.len() - body.len();
                return Some(Found::Call { at, body, is_bare: false, in_section: true });
            }
            if open.starts_with(after) {
                return Some(Found::Begun { at });
            }
        }
        if let Some(at) = call {
            return Some(Found::Call { at, body: at + open.len(), is_bare: false, in_section: false });
        }
        let tags = [Some(open), section.map(|(tag, _)| tag), self.section_end()].into_iter().flatten();
        let begun = tags.map(|tag| begun(held, tag)).max().filter(|length| *length > 0)?;
        Some(Found::Begun { at: held.len() - begun })
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
        match self.syntax.close {
            Some(close) => self.call_in_tags(opened, close, deltas, last),
            None => self.call_in_json(opened, deltas) || (last && self.give_up(opened, deltas)),
        }
    }

    fn call_in_tags(&mut self, opened: Opened, close: &str, deltas: &mut Vec<Delta>, last: bool) -> bool {
        let Opened { body, searched, passed, .. } = opened;
        let Some(at) = self.held[searched..].find(close).map(|at| searched + at) else {
            let searched = body.max(self.held.len() - begun(&self.held, close));
            self.state = State::Call(Opened { searched, ..opened });
            return false;
        };
        let end = at + close.len();
        let first = passed.unwrap_or(end);
        self.read(at - body);
        match self.parse(&self.held[body..at]) {
            Parsed::Incomplete if !last => {
                self.state = State::Call(Opened { searched: end, passed: Some(first), ..opened });
            }
            Parsed::Calls(calls) => self.give_calls(calls, end, deltas),
            Parsed::Incomplete | Parsed::Malformed => {
                self.unread += 1;
                self.give(self.up_to_call(body, first), deltas);
            }
        }
        true
    }

    /// Where the next call begins in a text that is not one, or its end.
    fn up_to_call(&self, body: usize, end: usize) -> usize {
        self.held[body..end].find(self.syntax.open).map_or(end, |at| body + at)
    }

    fn call_in_json(&mut self, opened: Opened, deltas: &mut Vec<Delta>) -> bool {
        let Opened { body, is_bare, searched, mut json, .. } = opened;
        let Some(value) = self.value(&self.held[body..]).map(|at| body + at) else { return false };
        let searched = searched.max(value);
        let end = match json.scan(&self.held[searched..]) {
            Scan::More => {
                self.read(self.held.len() - searched);
                self.state = State::Call(Opened { searched: self.held.len(), json, ..opened });
                return false;
            }
            Scan::End(end) => searched + end,
            Scan::Other => value,
        };
        self.read(end - body);
        match self.parse(&self.held[body..end]) {
            Parsed::Calls(calls)
                if !is_bare || calls.iter().all(|call| is_known(&call.name, &self.tools)) =>
            {
                self.give_calls(calls, end, deltas);
            }
            _ => {
                self.unread += usize::from(!is_bare);
                self.give(self.up_to_call(body, end), deltas);
            }
        }
        true
    }

    /// Notes that this many bytes are read as a call.
    fn read(&mut self, bytes: usize) {
        self.left = self.left.saturating_sub(bytes);
        self.unread += usize::from(self.left == 0);
    }

    /// Returns the tag of a call that never ended: another may follow it.
    fn give_up(&mut self, opened: Opened, deltas: &mut Vec<Delta>) -> bool {
        self.unread += usize::from(!opened.is_bare);
        self.give(opened.body, deltas);
        true
    }

    fn give_calls(&mut self, calls: Vec<FunctionCall>, end: usize, deltas: &mut Vec<Delta>) {
        deltas.extend(calls.into_iter().map(Delta::ToolCall));
        self.held.skip(end);
        self.state = State::Text(Place::AfterCall);
    }

    /// Returns the held text up to `end` as content; the rest is between calls.
    fn give(&mut self, end: usize, deltas: &mut Vec<Delta>) {
        if end > 0 {
            deltas.push(Delta::Content(self.held.take(end)));
        }
        self.state = State::Text(Place::Other);
    }

    /// Whether the text after an opening tag begins like a call, as far as it has been written.
    fn may_be_call(&self, Opened { body, is_bare, .. }: Opened) -> bool {
        let whole = &self.held[body..];
        let begin = beginning(whole);
        let close = self.syntax.close.and_then(|close| begin.find(close));
        let may_continue = close.is_some() || whole.len() <= BEGINNING;
        let end = close.unwrap_or(begin.len() - self.syntax.close.map_or(0, |close| begun(begin, close)));
        let text = &begin[..end];
        match self.syntax.body {
            Body::Object if is_bare => object::may_begin(text),
            Body::Object => parsed::may_begin_with(text.trim_start(), "{"),
            Body::List => parsed::may_begin_with(text.trim_start(), "["),
            Body::Named(named) => named.may_begin(text) && (may_continue || named.value(text).is_some()),
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

    fn parse(&self, body: &str) -> Parsed {
        match self.syntax.body {
            Body::Object => object::parse(body),
            Body::List => object::parse_list(body),
            Body::Named(named) => named.parse(body),
            Body::Elements(elements) => elements.parse(body, &self.tools),
            Body::Gemma => gemma::parse(body),
        }
    }
}

/// The part of a call that distinguishes it from other text.
fn beginning(call: &str) -> &str {
    &call[..call.floor_char_boundary(BEGINNING)]
}

/// An object at the beginning of the content, or after another and a semicolon.
fn bare_object(held: &str, place: Place) -> Option<Found> {
    let text = held.trim_start();
    let text = match text.strip_prefix(';') {
        Some(rest) if place == Place::AfterCall => rest.trim_start(),
        _ => text,
    };
    let body = held.len() - text.len();
    if body > SPACE {
        return None;
    }
    if text.starts_with('{') {
        return Some(Found::Call { at: 0, body, is_bare: true, in_section: false });
    }
    text.is_empty().then_some(Found::Begun { at: 0 })
}

#[cfg(test)]
pub(super) mod forms;
#[cfg(test)]
mod tests;
