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

use std::mem;
use std::sync::Arc;

use serde_json::Value;

use super::delta::Delta;
use super::message::FunctionCall;
use super::reasoning::begun;
use format::{Body, First, Syntax};
use json_end::{JsonEnd, Scan};
use parsed::{Parsed, is_known};

pub use format::ToolFormat;
pub(super) use format::tags;
pub use held::Unheld;
pub(super) use parsed::names;
pub use rules::{CallRules, Calls};

/// Bytes of a call that distinguish it from other text.
const BEGINNING: usize = 1024;

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
    Call { at: usize, body: usize, is_bare: bool },
    /// Text that may turn out to be a tag.
    Begun { at: usize },
}

/// Takes content and returns deltas, none of which is reasoning.
#[derive(Debug, Clone)]
pub(super) struct ToolParser {
    syntax: &'static Syntax,
    tools: Arc<[Value]>,
    state: State,
    held: String,
    /// Texts that begin like a call and are not one.
    unread: usize,
}

impl ToolParser {
    pub(super) fn new(format: ToolFormat, tools: &[Value]) -> Self {
        let (syntax, state, held) = (format.syntax(), State::Text(Place::Begin), String::new());
        Self { syntax, tools: tools.into(), state, held, unread: 0 }
    }

    /// The number of texts so far that begin like a call and stayed content.
    pub(super) fn unread(&self) -> usize {
        self.unread
    }

    pub(super) fn push(&mut self, text: &str, deltas: &mut Vec<Delta>) {
        self.held.push_str(text);
        while self.advance(deltas, false) {}
    }

    /// Returns the text that was held back: a call that never ended is content.
    pub(super) fn finish(&mut self, deltas: &mut Vec<Delta>) {
        while self.advance(deltas, true) {}
        self.unread += usize::from(matches!(self.state, State::Call(_)));
        let end = self.held.len();
        self.give(end, deltas);
    }

    fn advance(&mut self, deltas: &mut Vec<Delta>, last: bool) -> bool {
        match self.state {
            State::Text(place) => self.text(place, deltas),
            State::Call(opened) => self.call(opened, deltas, last),
        }
    }

    fn text(&mut self, place: Place, deltas: &mut Vec<Delta>) -> bool {
        if place == Place::AfterCall {
            self.held = self.held.trim_start_matches('\n').to_owned();
            if let Some((_, end)) = self.syntax.section {
                let text = self.held.trim_start();
                if let Some(rest) = text.strip_prefix(end) {
                    self.held = rest.to_owned();
                    return true;
                }
                if end.starts_with(text) {
                    return false;
                }
            }
        }
        let found = self.find(place);
        let end = match found {
            None => self.held.len(),
            Some(Found::Call { at, .. } | Found::Begun { at }) => at,
        };
        let certain = self.held[..end].trim_end_matches('\n').len();
        if certain > 0 {
            self.give(certain, deltas);
        }
        let Some(Found::Call { body, is_bare, .. }) = found else { return false };
        let body = body - certain;
        self.state =
            State::Call(Opened { body, is_bare, searched: body, passed: None, json: JsonEnd::default() });
        true
    }

    /// The first tag in the held text.
    fn find(&self, place: Place) -> Option<Found> {
        let &Syntax { section, open, first, .. } = self.syntax;
        let held = self.held.as_str();
        if first == First::Object
            && place != Place::Other
            && let Some(found) = bare_object(held, place)
        {
            return Some(found);
        }
        let edge = held.len() - held.trim_start().len();
        let is_taken = |at: usize| first != First::Section || (place == Place::AfterCall && at == edge);
        let mut from = 0;
        loop {
            let section = section.and_then(|(tag, _)| Some((from + held[from..].find(tag)?, tag)));
            let call = held[from..].find(open).map(|at| from + at).filter(|at| is_taken(*at));
            match (section, call) {
                (Some((at, tag)), call) if call.is_none_or(|call| at < call) => {
                    let after = held[at + tag.len()..].trim_start();
                    if let Some(body) = after.strip_prefix(open) {
                        return Some(Found::Call { at, body: held.len() - body.len(), is_bare: false });
                    }
                    if open.starts_with(after) {
                        return Some(Found::Begun { at });
                    }
                    from = at + tag.len();
                }
                (_, Some(at)) => return Some(Found::Call { at, body: at + open.len(), is_bare: false }),
                (_, None) => break,
            }
        }
        let tags = [Some(open), section.map(|(tag, _)| tag)].into_iter().flatten();
        let begun = tags.map(|tag| begun(held, tag)).max().filter(|length| *length > 0)?;
        Some(Found::Begun { at: held.len() - begun })
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
        match self.parse(&self.held[body..at]) {
            Parsed::Incomplete if !last => {
                self.state = State::Call(Opened { searched: end, passed: Some(first), ..opened });
            }
            Parsed::Calls(calls) => self.give_calls(calls, end, deltas),
            Parsed::Incomplete | Parsed::Malformed => {
                self.unread += 1;
                self.give(first, deltas);
            }
        }
        true
    }

    fn call_in_json(&mut self, opened: Opened, deltas: &mut Vec<Delta>) -> bool {
        let Opened { body, is_bare, searched, mut json, .. } = opened;
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
        match self.parse(&self.held[body..end]) {
            Parsed::Calls(calls)
                if !is_bare || calls.iter().all(|call| is_known(&call.name, &self.tools)) =>
            {
                self.give_calls(calls, end, deltas);
            }
            _ => {
                self.unread += usize::from(!is_bare);
                self.give(end, deltas);
            }
        }
        true
    }

    /// Returns the tag of a call that never ended: another may follow it.
    fn give_up(&mut self, opened: Opened, deltas: &mut Vec<Delta>) -> bool {
        self.unread += usize::from(!opened.is_bare);
        self.give(opened.body, deltas);
        true
    }

    fn give_calls(&mut self, calls: Vec<FunctionCall>, end: usize, deltas: &mut Vec<Delta>) {
        deltas.extend(calls.into_iter().map(Delta::ToolCall));
        self.held.drain(..end);
        self.state = State::Text(Place::AfterCall);
    }

    /// Returns the held text up to `end` as content; the rest is between calls.
    fn give(&mut self, end: usize, deltas: &mut Vec<Delta>) {
        let rest = self.held.split_off(end);
        let given = mem::replace(&mut self.held, rest);
        if !given.is_empty() {
            deltas.push(Delta::Content(given));
        }
        self.state = State::Text(Place::Other);
    }

    /// Whether the text after an opening tag begins like a call, as far as it has been written.
    fn may_be_call(&self, Opened { body, is_bare, .. }: Opened) -> bool {
        let text = &self.held[body..];
        let text = &text[..text.floor_char_boundary(BEGINNING)];
        let text = match self.syntax.close {
            Some(close) => &text[..text.find(close).unwrap_or(text.len() - begun(text, close))],
            None => text,
        };
        match self.syntax.body {
            Body::Object if is_bare => object::may_begin(text),
            Body::Object => parsed::may_begin_with(text.trim_start(), "{"),
            Body::List => parsed::may_begin_with(text.trim_start(), "["),
            Body::Named(named) => named.may_begin(text),
            Body::Elements(elements) => elements.may_begin(text),
            Body::Gemma => gemma::may_begin(text),
            Body::Messages => false,
        }
    }

    /// Where the JSON of a call begins that ends with it.
    fn value(&self, text: &str) -> Option<usize> {
        match self.syntax.body {
            Body::Named(named) => named.value(text),
            Body::Object | Body::List | Body::Elements(_) | Body::Gemma | Body::Messages => Some(0),
        }
    }

    fn parse(&self, body: &str) -> Parsed {
        match self.syntax.body {
            Body::Object => object::parse(body),
            Body::List => object::parse_list(body),
            Body::Named(named) => named.parse(body),
            Body::Elements(elements) => elements.parse(body, &self.tools),
            Body::Gemma => gemma::parse(body),
            Body::Messages => Parsed::Malformed,
        }
    }
}

/// An object at the beginning of the content, or after another and a semicolon.
fn bare_object(held: &str, place: Place) -> Option<Found> {
    let text = held.trim_start();
    let text = match text.strip_prefix(';') {
        Some(rest) if place == Place::AfterCall => rest.trim_start(),
        _ => text,
    };
    if text.starts_with('{') {
        return Some(Found::Call { at: 0, body: held.len() - text.len(), is_bare: true });
    }
    text.is_empty().then_some(Found::Begun { at: 0 })
}

#[cfg(test)]
pub(super) mod forms;
#[cfg(test)]
mod tests;
