//! Finds the beginnings of calls in content.

use std::sync::Arc;

use serde_json::Value;

use super::elements::Elements;
use super::format::{Body, Placement, Syntax};
use super::parsed::names;
use super::writable::{LENGTH, is_name_before};
use crate::chat::reasoning::begun;

/// The maximum number of bytes of whitespace between tags, and of the newlines before a call that are dropped.
pub(super) const SPACE: usize = 256;

/// Where the held text is, between calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// At the beginning of the content.
    Begin,
    /// After a call, with only newlines since.
    AfterCall,
    /// After a call, before its closing tag, which may be left out, with only newlines since.
    AfterUnclosed,
    Other,
}

/// The beginning of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opening {
    Tag,
    /// An object of JSON, without a tag.
    Object,
    /// The element with the name of a known function, without the tags around it.
    Element,
}

/// A tag in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// A call, from the tags before it on.
    Call { at: usize, body: usize, opening: Opening, in_section: bool },
    /// Text that may turn out to be a tag.
    Begun { at: usize },
}

impl Found {
    pub(super) fn at(self) -> usize {
        let (Self::Call { at, .. } | Self::Begun { at }) = self;
        at
    }
}

/// Finds calls in a syntax.
#[derive(Debug, Clone)]
pub(super) struct Finder {
    syntax: Syntax,
    functions: Option<Functions>,
}

impl Finder {
    pub(super) fn new(syntax: Syntax, tools: &[Value]) -> Self {
        let functions = match syntax {
            Syntax { placement: Placement::Untagged, body: Body::Elements(elements), .. } => {
                Some(Functions::new(elements, tools))
            }
            _ => None,
        };
        Self { syntax, functions }
    }

    /// The first tag in the held text.
    pub(super) fn find(&self, held: &str, place: Place, is_in_section: bool) -> Option<Found> {
        let Syntax { section, open, placement, .. } = self.syntax;
        if placement == Placement::Bare
            && place != Place::Other
            && let Some(found) = bare_object(held, place)
        {
            return Some(found);
        }
        let is_taken = placement != Placement::InSection || is_in_section;
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
                return Some(Found::Call { at, body, opening: Opening::Tag, in_section: true });
            }
            if open.starts_with(after) {
                return Some(Found::Begun { at });
            }
        }
        // Nothing comes between the beginning of a name and a tag.
        let is_certain = |found: &Found| call.is_none() || matches!(found, Found::Call { .. });
        if let Some(found) = self.untagged(before).filter(is_certain) {
            return Some(found);
        }
        if let Some(at) = call {
            let body = at + open.len();
            return Some(Found::Call { at, body, opening: Opening::Tag, in_section: false });
        }
        let end = section.filter(|_| is_in_section).map(|(_, end)| end);
        let element = self.functions.as_ref().map(|functions| functions.open);
        let tags = [Some(open), section.map(|(tag, _)| tag), end, element].into_iter().flatten();
        let begun = tags.map(|tag| begun(held, tag)).max().filter(|length| *length > 0)?;
        Some(Found::Begun { at: held.len() - begun })
    }

    /// The first call without a tag in a text, or the beginning of one at its end.
    pub(super) fn untagged(&self, text: &str) -> Option<Found> {
        self.functions.as_ref()?.find(text)
    }
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
        return Some(Found::Call { at: 0, body, opening: Opening::Object, in_section: false });
    }
    text.is_empty().then_some(Found::Begun { at: 0 })
}

/// The functions that may be called without a tag.
#[derive(Debug, Clone)]
struct Functions {
    /// Before the name.
    open: &'static str,
    /// After the name.
    end: &'static str,
    /// Their names with the text after it, sorted.
    names: Arc<[String]>,
}

impl Functions {
    fn new(elements: Elements, tools: &[Value]) -> Self {
        let (open, end) = elements.name;
        // Other names are not read.
        let is_read = |name: &String| (1..=LENGTH).contains(&name.len()) && is_name_before(name, end);
        let mut names: Vec<_> =
            names(tools).into_iter().filter(is_read).map(|name| format!("{name}{end}")).collect();
        names.sort_unstable();
        Self { open, end, names: names.into() }
    }

    fn find(&self, text: &str) -> Option<Found> {
        text.match_indices(self.open).find_map(|(at, _)| {
            let body = at + self.open.len();
            let rest = &text[body..];
            let near = &rest[..rest.floor_char_boundary(LENGTH + self.end.len())];
            match near.find(self.end).map(|end| &near[..end + self.end.len()]) {
                Some(name) => self
                    .names
                    .binary_search_by(|known| known.as_str().cmp(name))
                    .is_ok()
                    .then_some(Found::Call { at, body, opening: Opening::Element, in_section: false }),
                None => self.may_become_name(rest).then_some(Found::Begun { at }),
            }
        })
    }

    fn may_become_name(&self, text: &str) -> bool {
        let first = self.names.partition_point(|name| name.as_str() < text);
        self.names.get(first).is_some_and(|name| name.starts_with(text))
    }
}
